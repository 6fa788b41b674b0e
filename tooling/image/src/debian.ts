/** The root file system below Node: the libraries that it is linked with, from Debian's packages, and nothing that runs. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, text } from './command.ts'

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

export interface RootFs {
  readonly packages: readonly DebianPackage[]
  /** Debian's major version, such as `12`. */
  readonly release: string
}

/** `gcc-12-base` has the copyright file of the two libraries of GCC. */
const PACKAGES = ['base-files', 'gcc-12-base', 'libc6', 'libgcc-s1', 'libstdc++6']
/** Node needs neither encodings of iconv nor anything for debuggers. */
const LEFT_OUT = [
  ...['./usr/share/doc/*', './usr/share/man/*', './usr/share/locale/*', './usr/share/lintian/*', './usr/share/gdb/*'],
  ...[
    './usr/share/gcc/*',
    './usr/share/base-files/*',
    './usr/lib/*/gconv/*',
    './etc/update-motd.d/*',
    './lib/*/gconv/*',
  ],
]
/** Of base-files, which makes every folder that a Debian system has. */
const UNUSED_FOLDERS = ['boot', 'home', 'media', 'mnt', 'srv', 'root']

const PASSWD = `root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
oriel:x:10001:10001:oriel:/nonexistent:/sbin/nologin
`
const GROUP = 'root:x:0:\nnogroup:x:65534:\noriel:x:10001:\n'

/**
 * Unpacks the packages into `root`, and lists them in `var/lib/dpkg/status.d`, where scanners of vulnerabilities look.
 * @param cache keeps the downloaded packages: apt-get downloads only those that are missing or outdated there
 */
export function makeRootFs(root: string, cache: string): RootFs {
  layFolders(root)
  const packages = download(cache).map((file) => unpack(file, root))
  for (const folder of UNUSED_FOLDERS) rmSync(join(root, folder), { recursive: true, force: true })
  writeFileSync(join(root, 'etc/passwd'), PASSWD)
  writeFileSync(join(root, 'etc/group'), GROUP)
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  mkdirSync(join(root, 'etc/oriel'))
  return { packages, release: releaseOf(root) }
}

/** Debian 12 has merged /usr: its packages still ship files in /lib. */
function layFolders(root: string): void {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', folder), { recursive: true })
    symlinkSync(`usr/${folder}`, join(root, folder))
  }
  mkdirSync(join(root, 'var/lib/dpkg/status.d'), { recursive: true })
}

function download(cache: string): readonly string[] {
  mkdirSync(cache, { recursive: true })
  // Other versions of the same packages, from an earlier build.
  const wanted = new Set(debFiles())
  for (const file of readdirSync(cache)) if (!wanted.has(file)) rmSync(join(cache, file))
  const missing = [...wanted].some((file) => !existsSync(join(cache, file)))
  const quiet = ['-qq', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3']
  if (missing) run('apt-get', ['download', ...quiet, ...PACKAGES], { cwd: cache })
  return [...wanted].sort().map((file) => join(cache, file))
}

/** The file names that `apt-get download` gives the packages' newest versions. */
function debFiles(): readonly string[] {
  const found = text('apt-get', ['download', '--print-uris', '-qq', ...PACKAGES])
  const files = [...found.matchAll(/^'[^']+' (\S+)/gm)].map(([, file]) => file!)
  if (files.length === PACKAGES.length) return files
  throw new Error(`apt-get knows only ${files.length} of ${PACKAGES.join(', ')}: run apt-get update on Debian 12`)
}

function unpack(file: string, root: string): DebianPackage {
  const control = text('dpkg-deb', ['--field', file])
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map(
    (key) => new RegExp(`^${key}: (.*)$`, 'm').exec(control)![1]!,
  )
  const content = run('dpkg-deb', ['--fsys-tarfile', file])
  const extract = [
    '-x',
    '-f',
    '-',
    '-C',
    root,
    '--keep-directory-symlink',
    '--no-same-owner',
    '--delay-directory-restore',
  ]
  run('tar', [...extract, ...LEFT_OUT.map((pattern) => `--exclude=${pattern}`)], { input: content })
  const copyright = text('tar', ['-t', '-f', '-', '--wildcards', './usr/share/doc/*'], { input: content })
    .split('\n')
    .filter((entry) => entry === `./usr/share/doc/${name}` || entry.endsWith('/copyright'))
  run('tar', [...extract, '--no-recursion', ...copyright], { input: content })
  writeFileSync(join(root, 'var/lib/dpkg/status.d', name!), `${control}\n`)
  return { name: name!, version: version!, architecture: architecture! }
}

function releaseOf(root: string): string {
  const release = readFileSync(join(root, 'usr/lib/os-release'), 'utf8')
  return /^VERSION_ID="?(\d+)"?$/m.exec(release)?.[1] ?? 'unknown'
}
