/** Reading the files that settings name. */
import { closeSync, openSync, readSync } from 'node:fs'
import { SettingsError } from '../errors.ts'

/** No `clouds.yaml` and no bundle of CAs comes near it; a device such as `/dev/zero` never ends. */
const MAX_FILE_MIB = 16
const CHUNK_BYTES = 65_536

/**
 * Reads a file, up to 16 MiB of it. Pipes and files in `/proc` are read as well: their size is not looked at.
 * @throws the system's error; SettingsError for more than 16 MiB, as soon as so much was read
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
