import { bundleApp } from '@oriel/bundle'

await bundleApp({ app: new URL('./', import.meta.url) })
