/** A guest that shows all 256 characters of the VGA font in text mode, three times: grey on black, inverse, white on blue. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type QemuGuest, startQemu, temporaryFolder } from '@oriel/testkit'

const COLUMNS = 80

/** A boot sector that writes to the video memory, so that control characters show as well. */
const program = (cursor: number) => [
  'b80300 cd10', //         mov ax, 3; int 0x10               ; text mode, 80x25
  `b402 b700 ba${hex(cursor)}01 cd10`, // mov ah, 2; mov bh, 0; mov dl, cursor; mov dh, 1; int 0x10
  'b800b8 8ec0', //         mov ax, 0xb800; mov es, ax
  '31ff b407 e81400', //    xor di, di; mov ah, 0x07; call all
  'bf4006 b470 e80c00', //  mov di, 10 * 160; mov ah, 0x70; call all
  'bf800c b41f e80400', //  mov di, 20 * 160; mov ah, 0x1f; call all
  'fa f4 ebfc', //          stop: cli; hlt; jmp stop
  '30c0', //           all: xor al, al
  'ab fec0 75fb', //   one: stosw; inc al; jnz one
  'c3', //                  ret
]

const hex = (byte: number) => byte.toString(16).padStart(2, '0')

/** The lines at which the characters begin. */
export const STARTS = [0, 10, 20] as const

/** @param underCursor an ASCII character from `P` on: they are in the second line */
export async function startCharactersGuest(underCursor: string): Promise<QemuGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const disk = join(folder.path, 'characters.img')
  const sector = Buffer.alloc(512)
  Buffer.from(
    program(underCursor.charCodeAt(0) - COLUMNS)
      .join('')
      .replaceAll(' ', ''),
    'hex',
  ).copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  await writeFile(disk, sector)
  const args = ['-drive', `file=${disk},format=raw,if=ide`, '-boot', 'order=c,menu=off']
  const guest = scope.use(await startQemu({ name: 'characters', vnc: false, args }))
  const rest = scope.move()
  return { ...guest, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}
