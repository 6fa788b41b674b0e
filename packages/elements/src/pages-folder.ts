/** Locates the built console pages, for Node programs that serve or copy them. */

/** The folder of the built pages, with `index.html`, `vnc.html` and `assets/`. `npm run build` creates it. */
export const pagesFolder = new URL('../dist/pages/', import.meta.url)
