/** A guest that prints lines with rising numbers on its serial port, so that a test sees any gap or double in the output. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type QemuGuest, startQemu, temporaryFolder } from '@oriel/testkit'

/** The lines that the guest prints for each byte of input, of ten bytes each: `00000000\r\n`, `00000001\r\n`, … */
export const LINES = 5000

/** A boot sector for COM1. Between checks for input it waits for the timer's next interrupt. */
const program = [
  '31c0 8ed8 fc', //     begin: xor ax, ax; mov ds, ax; cld
  'fb f4', //            idle:  sti; hlt
  'bafd03 ec', //               mov dx, 0x3fd; in al, dx
  'a801 74f6', //               test al, 1; jz idle           ; no input
  'baf803 ec', //               mov dx, 0x3f8; in al, dx
  'bb8813', //                  mov bx, 5000
  'be407c', //           line:  mov si, digits
  'b90a00', //                  mov cx, 10
  'bafd03', //           next:  mov dx, 0x3fd
  'ec a820 74fb', //     full:  in al, dx; test al, 0x20; jz full
  'ac', //                      lodsb
  'baf803 ee', //               mov dx, 0x3f8; out dx, al
  'e2f1', //                    loop next
  'bf477c', //                  mov di, digits + 7
  'fe05', //             carry: inc byte [di]
  '803d3a 7506', //             cmp byte [di], '9' + 1; jne done
  'c60530 4f', //               mov byte [di], '0'; dec di
  'ebf3', //                    jmp carry
  '4b 75d8', //          done:  dec bx; jnz line
  'ebc5', //                    jmp idle
  Buffer.from('00000000\r\n').toString('hex'), // digits
]

/**
 * A boot sector for COM1 that prints a line at each interrupt of the timer, 18 in a second: a rising number of eight digits,
 * and then the last byte of its input, which is at first a dot.
 */
const ticking = [
  '31c0 8ed8 fc', //     begin: xor ax, ax; mov ds, ax; cld
  'fb f4', //            tick:  sti; hlt
  'bafd03 ec', //               mov dx, 0x3fd; in al, dx
  'a801 7407', //               test al, 1; jz print           ; no input
  'baf803 ec', //               mov dx, 0x3f8; in al, dx
  'a2457c', //                  mov [digits + 8], al
  'be3d7c', //           print: mov si, digits
  'b90b00', //                  mov cx, 11
  'bafd03', //           next:  mov dx, 0x3fd
  'ec a820 74fb', //     full:  in al, dx; test al, 0x20; jz full
  'ac', //                      lodsb
  'baf803 ee', //               mov dx, 0x3f8; out dx, al
  'e2f1', //                    loop next
  'bf447c', //                  mov di, digits + 7
  'fe05', //             carry: inc byte [di]
  '803d3a 7506', //             cmp byte [di], '9' + 1; jne done
  'c60530 4f', //               mov byte [di], '0'; dec di
  'ebf3', //                    jmp carry
  'ebc8', //             done:  jmp tick
  Buffer.from('00000000.\r\n').toString('hex'), // digits
]

/** The first `count` lines that the guest prints. */
export const countedLines = (count: number): string =>
  Array.from({ length: count }, (_, line) => `${String(line).padStart(8, '0')}\r\n`).join('')

export async function startCountingGuest(name: string, uuid: string): Promise<QemuGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const args = await diskWith(program, folder.path)
  const guest = scope.use(await startQemu({ name, uuid, vnc: false, serial: true, args }))
  const rest = scope.move()
  return { ...guest, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Creates a disk from which a guest boots that counts by itself. Returns the arguments of QEMU; two may share the disk. */
export const tickingDisk = (folder: string): Promise<string[]> => diskWith(ticking, folder)

async function diskWith(code: readonly string[], folder: string): Promise<string[]> {
  const disk = join(folder, 'counts.img')
  const sector = Buffer.alloc(512)
  Buffer.from(code.join('').replaceAll(' ', ''), 'hex').copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  await writeFile(disk, sector)
  return ['-drive', `file=${disk},format=raw,if=ide`, '-boot', 'order=c,menu=off']
}
