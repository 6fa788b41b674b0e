/** The generated pages of docs/, by file name. */
import { configurationPage } from './configuration.ts'
import { referencePage } from './reference.ts'

export const pages = { 'configuration.md': configurationPage, 'api.html': referencePage } as const
