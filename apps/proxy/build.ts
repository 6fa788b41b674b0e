import { bundleApp } from '@oriel/bundle'
import { pagesFolder } from '@oriel/elements/pages'

await bundleApp({ app: new URL('./', import.meta.url), copy: { pages: pagesFolder } })
