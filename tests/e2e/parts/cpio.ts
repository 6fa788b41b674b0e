/** Writes cpio archives, the format of an initramfs. GRUB reads the same format as a file system. */

export interface CpioFile {
  /** Without a leading slash. Parent folders are added. */
  readonly path: string
  readonly content: Uint8Array | string
  /** Default: 0o644. */
  readonly mode?: number
}

const FOLDER = 0o040755
const FILE = 0o100000
const END = 'TRAILER!!!'

/** Returns an archive in the format `newc` (kernel: Documentation/driver-api/early-userspace/buffer-format.rst). */
export function cpio(files: readonly CpioFile[], folders: readonly string[] = []): Buffer {
  const entries = [...parents([...files.map(({ path }) => path), ...folders.map((folder) => `${folder}/`)])]
  return Buffer.concat([
    ...entries.map((folder, i) => entry(i + 1, folder, FOLDER, Buffer.alloc(0))),
    ...files.map(({ path, content, mode = 0o644 }, i) =>
      entry(entries.length + i + 1, path, FILE | mode, Buffer.from(content as Uint8Array)),
    ),
    entry(0, END, 0, Buffer.alloc(0)),
  ])
}

/** Returns the folders of all paths, parents first. */
function parents(paths: readonly string[]): Set<string> {
  const all = paths.flatMap((path) => [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index)))
  return new Set(all.toSorted())
}

function entry(inode: number, path: string, mode: number, content: Buffer): Buffer {
  const links = 1
  const name = Buffer.from(`${path}\0`)
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(content)])
}

/** Pads to a multiple of four bytes. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
