/** Reads the files that settings name. */
import { closeSync, openSync, readSync } from 'node:fs'
import { SettingsError } from '../errors.ts'

/** Far more than any `clouds.yaml` or CA bundle has; a device such as `/dev/zero` never ends. */
const MAX_FILE_MIB = 16
const CHUNK_BYTES = 65_536

/**
 * Reads a file of at most 16 MiB. Ignores the file's reported size, since pipes and files in `/proc` have none.
 * @throws the system's error; SettingsError once more than 16 MiB were read
 */
export function readSettingsFile(path: string): Buffer {
  const fd = openSync(path, 'r')
  try {
    return readToEnd(fd, path)
  } finally {
    closeSync(fd)
  }
}

function readToEnd(fd: number, path: string): Buffer {
  const chunks: Buffer[] = []
  for (let total = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const length = readSync(fd, chunk)
    if (length === 0) return Buffer.concat(chunks, total)
    total += length
    if (total > MAX_FILE_MIB * 2 ** 20) throw new SettingsError(`${path} has more than ${MAX_FILE_MIB} MiB`)
    chunks.push(chunk.subarray(0, length))
  }
}
