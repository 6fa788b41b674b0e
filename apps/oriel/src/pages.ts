/** Locates the console pages: the build copies them beside the program. From source, uses the elements' last build. */
import { fileURLToPath } from 'node:url'

const isSource = import.meta.url.endsWith('.ts')

export const pages = fileURLToPath(
  new URL(isSource ? '../../../packages/elements/dist/pages/' : './pages/', import.meta.url),
)
