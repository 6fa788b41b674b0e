/** Locates the console pages, which the build copies beside the program. */
import { fileURLToPath } from 'node:url'

export const pages = fileURLToPath(new URL('pages/', import.meta.url))
