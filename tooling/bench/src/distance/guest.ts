/**
 * A guest that paints: at each interrupt of its timer, 50 in a second, it shows the number of the picture as a colour other
 * than black, and noise that cannot be compressed. A key inverts a second colour at once. QEMU looks at the screen every
 * 30 ms, so that it finds another picture each time.
 */
import type { QemuGuest } from '@oriel/testkit'
import { startBootSector } from './boot-sector.ts'

export interface Painting {
  /** Whether the number of the picture grows. Default: true. */
  readonly moving?: boolean
  /** How many pixels of noise each picture has, of three bytes on the wire each. At most 113,600. Default: 0. */
  readonly noisePixels?: number
}

/** The squares of 16 × 16 pixels of which a page reads one each. */
export const squares = { picture: { x: 8, y: 8 }, key: { x: 40, y: 8 } } as const

/** A boot sector at 0x7c00 for QEMU's VGA, in a mode of 400 × 300 pixels of 32 bits, in banks of 64 KiB at 0xa0000. */
const program = ({ moving = true, noisePixels = 0 }: Painting) => [
  '31c0 8ed8 fc', //          begin: xor ax, ax; mov ds, ax; cld
  'beb37c', //                       mov si, mode
  'ad bace01 ef ad 42 ef', // next:  lodsw; mov dx, 0x1ce; out dx, ax; lodsw; inc dx; out dx, ax   ; Bochs VBE
  '81fec77c 72f2', //                cmp si, timer; jb next
  'b800a0 8ec0', //                  mov ax, 0xa000; mov es, ax
  'b036 e643', //                    mov al, 0x36; out 0x43, al          ; the timer of the PC, in mode 3
  'a1c77c e640 88e0 e640', //        mov ax, [timer]; out 0x40, al; mov al, ah; out 0x40, al
  'fb f4', //                 idle:  sti; hlt
  'b401 cd16 7409', //               mov ah, 1; int 0x16; jz paint       ; no key
  'b400 cd16', //                    mov ah, 0; int 0x16
  '66f716d57c', //                   not dword [key]
  '66a1c97c 660106d17c', //   paint: mov eax, [step]; add [picture], eax
  '31db e84d00', //                  xor bx, bx; call bank
  '31ff 66a1d17c e85200', //         xor di, di; mov eax, [picture]; call square
  'bf8000 66a1d57c e84800', //       mov di, 32 * 4; mov eax, [key]; call square
  'bf0064', //                       mov di, 16 * 1600
  '668b0ecd7c 67e3c3', //            mov ecx, [pixels]; jecxz idle
  '66a1d97c', //                     mov eax, [seed]
  '6669c00d661900', //        noise: imul eax, eax, 1664525
  '66055ff36e3c', //                 add eax, 1013904223
  '6689c2 66c1ea08', //              mov edx, eax; shr edx, 8
  '26668915', //                     mov [es:di], edx
  '83c704 7504', //                  add di, 4; jnz same
  '43 e80a00', //                    inc bx; call bank
  '6649 75db', //             same:  dec ecx; jnz noise
  '66a3d97c eb94', //                mov [seed], eax; jmp idle
  '50 b80500 bace01 ef', //   bank:  push ax; mov ax, 5; mov dx, 0x1ce; out dx, ax
  '42 89d8 ef 58 c3', //             inc dx; mov ax, bx; out dx, ax; pop ax; ret
  'b210', //                  square: mov dl, 16
  'b91000 66f3ab', //         row:   mov cx, 16; rep stosd
  '81c70006 feca 75f2 c3', //        add di, 1600 - 64; dec dl; jnz row; ret
  ...[4, 0, 1, 400, 2, 300, 3, 32, 4, 1].map(word), // mode: off, 400 wide, 300 high, 32 bits, on
  word(1_193_182 / HERTZ), // timer
  long(moving ? 1 : 0), //    step
  long(noisePixels), //       pixels
  long(1), //                 picture
  long(0), //                 key
  long(1), //                 seed
]

const HERTZ = 50

const word = (value: number) => littleEndian(value, 2)
const long = (value: number) => littleEndian(value, 4)

function littleEndian(value: number, bytes: 2 | 4): string {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntLE(Math.trunc(value), 0, bytes)
  return buffer.toString('hex')
}

/** Starts the guest. Resolves when it has painted its first picture. */
export const startPaintingGuest = (painting: Painting): Promise<QemuGuest> =>
  startBootSector(program(painting), 400, 300)
