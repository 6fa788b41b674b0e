/** Starts guests that are a few instructions in a boot sector. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type QemuGuest, startQemu, temporaryFolder } from '@oriel/testkit'

/** The name that the bench's authority gives each server. */
const NAME = 'instance-00000001'

/**
 * Boots `code`, lines of hexadecimal digits that are loaded at 0x7c00. Resolves when the guest's screen has this size.
 * @throws RangeError if the code is longer than 510 bytes
 */
export async function startBootSector(code: readonly string[], width: number, height: number): Promise<QemuGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const disk = join(folder.path, 'guest.img')
  await writeFile(disk, bootSector(code))
  const args = ['-drive', `file=${disk},format=raw,if=ide`, '-boot', 'order=c,menu=off']
  const guest = scope.use(await startQemu({ name: NAME, args }))
  await guest.untilPicture((picture) => picture.width === width && picture.height === height)
  const rest = scope.move()
  return { ...guest, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

function bootSector(code: readonly string[]): Buffer {
  const bytes = Buffer.from(code.join('').replaceAll(' ', ''), 'hex')
  if (bytes.length > SIGNATURE_AT) throw new RangeError(`${bytes.length} bytes do not fit into a boot sector`)
  const sector = Buffer.alloc(512)
  bytes.copy(sector)
  sector.writeUInt16LE(0xaa55, SIGNATURE_AT)
  return sector
}

const SIGNATURE_AT = 510
