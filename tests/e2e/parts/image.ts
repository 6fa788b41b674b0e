/** Builds the container images and runs them without a container engine, isolated as an engine would. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Requirement, type RunningProgram, requirement, startProgram, temporaryFolder } from '@oriel/testkit'
import { stringify } from 'smol-toml'

const run = promisify(execFile)

const builder = fileURLToPath(new URL('../../../tooling/image/src/main.ts', import.meta.url))

/** The configuration of an image. @see https://github.com/opencontainers/image-spec/blob/main/config.md */
export interface ImageConfig {
  readonly User: string
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Healthcheck: { readonly Test: readonly string[] }
  readonly Labels: Readonly<Record<string, string>>
}

/** The unpacked layers of an image, and its configuration. */
export interface UnpackedImage {
  readonly root: string
  readonly config: ImageConfig
}

export async function requiresImage(): Promise<Requirement> {
  const hint = 'run tests/install-debian-packages, and the tests as root on Debian 12'
  const isRoot = process.getuid?.() === 0
  const canMount =
    isRoot &&
    (await run('unshare', ['--mount', 'true']).then(
      () => true,
      () => false,
    ))
  const canBuild =
    canMount &&
    (await run('strip', ['--version']).then(
      () => true,
      () => false,
    ))
  return requirement('mounts as root, apt-get and binutils', canBuild, hint)
}

/** Builds the images into `folder`. Resolves with the printed digests. */
export async function buildImages(folder: string): Promise<string> {
  return (await run(process.execPath, [builder, folder])).stdout
}

/** Unpacks an image of an OCI layout into `root`, as a container engine does. */
export async function unpackImage(layout: string, name: string, root: string): Promise<UnpackedImage> {
  const read = async ({ digest }: Descriptor) => JSON.parse(await readFile(blobOf(layout, digest), 'utf8'))
  const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
  const entry = manifests.find(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === name)
  const manifest: { config: Descriptor; layers: Descriptor[] } = await read(entry!)
  await mkdir(root)
  for (const { digest } of manifest.layers) await run('tar', ['-xz', '-f', blobOf(layout, digest), '-C', root])
  return { root, config: (await read(manifest.config)).config }
}

interface Descriptor {
  readonly digest: string
  readonly annotations?: Readonly<Record<string, string>>
}

const blobOf = (layout: string, digest: string) => join(layout, 'blobs', digest.replace(':', '/'))

/** A program of an image, with its configuration file at /etc/oriel. */
export interface Container extends RunningProgram {
  /** Runs a command in the same file system, isolated in the same way. */
  exec(command: readonly string[]): Promise<RunningProgram>
}

/** Starts the image's own command, as its own user, with a read-only root and a configuration at `/etc/oriel/FILE`. */
export async function startContainer(image: UnpackedImage, file: string, toml: object): Promise<Container> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder()).path
  await chmod(folder, 0o755)
  await writeFile(join(folder, file), stringify(toml))
  const { Entrypoint, Cmd } = image.config
  const program = scope.use(await isolated(image, folder, [...Entrypoint, ...Cmd]))
  const rest = scope.move()
  return Object.assign(program, {
    exec: (command: readonly string[]) => isolated(image, folder, command),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  })
}

/** Its arguments are the root, the folder for /etc/oriel, the user, and the command. Each step replaces the shell, so signals arrive. */
const ISOLATE = `
root=$1 config=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$config" "$root/etc/oriel"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec="$user" "$root" "$@"
`

function isolated({ root, config }: UnpackedImage, folder: string, command: readonly string[]) {
  const shell = ['sh', '-euc', ISOLATE, 'isolate', root, folder, config.User, ...command]
  // The image's environment, without the certificates and options of this machine.
  const env = { NODE_EXTRA_CA_CERTS: undefined, NODE_OPTIONS: undefined }
  return startProgram({ command: 'unshare', args: ['--mount', '--propagation', 'private', ...shell], env })
}
