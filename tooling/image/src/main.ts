/** `npm run image [FOLDER]`: builds the images into a folder, `image` by default, and prints their digests. */
import { join, resolve } from 'node:path'
import { buildImages } from './build.ts'
import { text } from './command.ts'

const workspace = join(import.meta.dirname, '../../..')
const { digests } = buildImages({
  workspace,
  out: resolve(process.argv[2] ?? join(workspace, 'image')),
  cache: join(workspace, 'node_modules/.cache/oriel-image'),
  ...commit(),
})
for (const [name, digest] of Object.entries(digests)) process.stdout.write(`${name} ${digest}\n`)

/** The commit and its time. `SOURCE_DATE_EPOCH` replaces the time, and is required outside a Git checkout. */
function commit(): { revision: string; epochSeconds: number } {
  const given = process.env.SOURCE_DATE_EPOCH
  try {
    const [hash = '', time] = text('git', ['log', '-1', '--format=%H %ct'], { cwd: workspace }).split(' ')
    const isClean = text('git', ['status', '--porcelain'], { cwd: workspace }) === ''
    return { revision: isClean ? hash : `${hash}-modified`, epochSeconds: Number(given ?? time) }
  } catch (cause) {
    if (given !== undefined) return { revision: 'unknown', epochSeconds: Number(given) }
    throw new Error('This is no Git checkout: set SOURCE_DATE_EPOCH to the time of the sources', { cause })
  }
}
