/** The console pages, which the build puts beside the program. */
import { fileURLToPath } from 'node:url'

export const pages = fileURLToPath(new URL('pages/', import.meta.url))
