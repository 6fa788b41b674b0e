/** The pages in docs/ that are made of the code, by file name. */
import { configurationPage } from './configuration.ts'
import { referencePage } from './reference.ts'

export const pages = { 'configuration.md': configurationPage, 'api.html': referencePage } as const
