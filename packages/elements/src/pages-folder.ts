/** Where the built console pages are, for programs in Node that serve them or copy them beside themselves. */

/** The folder of the built pages, with `index.html`, `vnc.html` and `assets/`. It stands after `build`. */
export const pagesFolder = new URL('../dist/pages/', import.meta.url)
