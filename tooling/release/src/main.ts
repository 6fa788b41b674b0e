/**
 * `npm run release:dry [FOLDER]`: does all that a release does, except for publishing, and leaves the result in a folder,
 * `release` by default. Works on a clone of the newest commit, so the checkout stays as it is. Two runs for one commit give
 * the same files, as long as Debian and npm have published nothing newer for them.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildImages, packFolder } from '@oriel/image'
import { readChangesets } from './changelog.ts'
import { command } from './command.ts'
import { pack, publishedPackages, writeBills } from './packages.ts'
import { provenance } from './provenance.ts'

const workspace = join(import.meta.dirname, '../../..')
const out = resolve(process.argv[2] ?? join(workspace, 'release'))
const temporary = mkdtempSync(join(tmpdir(), 'oriel-release-'))
const copy = join(temporary, 'oriel')
try {
  refuseChanges()
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const epochSeconds = prepareCopy()
  const packages = publishedPackages(copy)
  say(`versions: ${packages.map(({ name, version }) => `${name} ${version}`).join(', ')}`)
  packAll(packages, epochSeconds)
  imageAll(epochSeconds)
  checkConsumers()
  const gitCommit = command('git', ['rev-parse', 'HEAD'], workspace).trim()
  for (const file of ['CHANGELOG.md', 'LICENSE']) writeFileSync(join(out, file), readFileSync(join(copy, file)))
  writeFileSync(
    join(out, 'provenance.json'),
    provenance({ subjects: digests(), workspace: copy, gitCommit, epochSeconds }),
  )
  writeFileSync(
    join(out, 'SHA256SUMS'),
    digests()
      .map(([file, digest]) => `${digest}  ${file}\n`)
      .join(''),
  )
  say(readFileSync(join(out, 'SHA256SUMS'), 'utf8').trimEnd())
} catch (error) {
  say((error as Error).message)
  process.exitCode = 1
} finally {
  rmSync(temporary, { recursive: true, force: true })
}

/** The release is that of a commit: changes that are not committed would be missing in it. */
function refuseChanges(): void {
  const changes = command('git', ['status', '--porcelain'], workspace)
  if (changes !== '')
    throw new Error(`Commit these changes first, the release is made of the newest commit:\n${changes}`)
}

/**
 * Clones and builds, and returns the time of the newest commit. If there are changesets, sets the versions before, and commits
 * that with the same time. Without changesets, the newest commit is itself the release.
 */
function prepareCopy(): number {
  command('git', ['clone', '--quiet', '--no-hardlinks', workspace, copy], temporary)
  const time = command('git', ['log', '-1', '--format=%ct'], copy).trim()
  command('npm', ['run', '--silent', 'setup'], copy)
  if (readChangesets(copy).length > 0) commitVersions(time)
  command('npm', ['run', '--silent', 'build:all'], copy)
  return Number(time)
}

function commitVersions(time: string): void {
  command(process.execPath, [join(copy, 'tooling/release/src/version.ts'), copy], copy)
  const who = Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap((role) => [
      [`GIT_${role}_NAME`, 'Oriel release'],
      [`GIT_${role}_EMAIL`, 'release@oriel.invalid'],
      [`GIT_${role}_DATE`, `${time} +0000`],
    ]),
  )
  command('git', ['add', '--all'], copy)
  command('git', ['commit', '--quiet', '--no-verify', '--message', 'chore: release'], copy, who)
}

function packAll(packages: ReturnType<typeof publishedPackages>, epochSeconds: number): void {
  const { packageManager } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8'))
  for (const entry of packages) {
    const tarball = pack(entry, out, packageManager)
    writeBills(entry, join(out, tarball), isoOf(epochSeconds))
    say(`packed ${tarball}`)
  }
}

function imageAll(epochSeconds: number): void {
  const folder = join(temporary, 'image')
  const revision = command('git', ['rev-parse', 'HEAD'], copy).trim()
  const cache = join(workspace, 'node_modules/.cache/oriel-image')
  const built = buildImages({ workspace: copy, out: folder, cache, revision, epochSeconds })
  writeFileSync(join(out, 'oriel-images.oci.tar'), packFolder(join(folder, 'oci'), epochSeconds))
  const lines = Object.entries(built.digests).map(([name, digest]) => `${name} ${digest}\n`)
  writeFileSync(join(out, 'image-digests.txt'), lines.join(''))
  for (const name of Object.keys(built.digests)) {
    for (const kind of ['cdx', 'spdx']) {
      const bill = readFileSync(join(folder, 'context', name, 'usr/share/sbom', `${name}.${kind}.json`))
      writeFileSync(join(out, `image-${name}.${kind}.json`), bill)
    }
  }
  say(`images:\n${lines.join('').trimEnd()}`)
}

/** Installs the tarballs into the projects of tooling/consumers, compiles those, and runs them. */
function checkConsumers(): void {
  say(command('npm', ['run', '--silent', 'consumers', '--', out], copy).trimEnd())
}

/** The files of the release with their SHA-256 digests, by name. */
function digests(): readonly (readonly [file: string, digest: string])[] {
  const files = readdirSync(out).filter((file) => file !== 'SHA256SUMS')
  return files.sort().map((file) => [
    file,
    createHash('sha256')
      .update(readFileSync(join(out, file)))
      .digest('hex'),
  ])
}

function isoOf(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000', '')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
