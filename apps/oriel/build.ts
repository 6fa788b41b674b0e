import { bundleApp } from '@oriel/bundle'
import { pagesFolder } from '@oriel/elements/pages'

const threads = {
  'sqlite-worker.js': new URL(import.meta.resolve('@oriel/api/sqlite-worker')),
  'screen-worker.js': new URL(import.meta.resolve('@oriel/api/screen-worker')),
}
await bundleApp({ app: new URL('./', import.meta.url), threads, copy: { pages: pagesFolder } })
