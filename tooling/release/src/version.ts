/** Consumes the changesets: sets versions, and writes the CHANGELOGs. The step before a release, in a clean checkout. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readChangesets, withSection } from './changelog.ts'
import { command } from './command.ts'

const workspace = process.argv[2] ?? join(import.meta.dirname, '../../..')
const file = join(workspace, 'CHANGELOG.md')
const changesets = readChangesets(workspace)
command('node_modules/.bin/changeset', ['version'], workspace)
const { version } = JSON.parse(readFileSync(join(workspace, 'packages/sdk/package.json'), 'utf8'))
writeFileSync(file, withSection(existsSync(file) ? readFileSync(file, 'utf8') : '', version, changesets))
