/** The console pages, which the build puts beside the program. From source, they are those of the last build of the elements. */
import { fileURLToPath } from 'node:url'

const isSource = import.meta.url.endsWith('.ts')

export const pages = fileURLToPath(
  new URL(isSource ? '../../../packages/elements/dist/pages/' : './pages/', import.meta.url),
)
