/**
 * A guest that shows what is typed: a text screen of 80 by 25, on which the firmware prints each key and scrolls at the end. Its
 * first line shows another letter at each interrupt of the timer, 18 in a second, so that there is always an update under way.
 */
import type { QemuGuest } from '@oriel/testkit'
import { startBootSector } from './boot-sector.ts'

/** The size of a screen in cells, and of a cell in pixels. */
export const textScreen = { columns: 80, rows: 25, cellWidth: 9, cellHeight: 16 } as const

const program = [
  '31c0 8ed8 fc 31db', //        begin: xor ax, ax; mov ds, ax; cld; xor bx, bx
  'b80300 cd10', //                     mov ax, 3; int 0x10                 ; text mode
  'b800b8 8ec0', //                     mov ax, 0xb800; mov es, ax
  'fb f4', //                    idle:  sti; hlt
  '26fe060000 26a00000', //             inc byte [es:0]; mov al, [es:0]
  '241f 0c40 b407', //                  and al, 31; or al, 0x40; mov ah, 7  ; `@`, `A`, `B`, …, `_`
  '31ff b95000 f3ab', //                xor di, di; mov cx, 80; rep stosw
  'b401 cd16 74e2', //           look:  mov ah, 1; int 0x16; jz idle       ; no key
  'b400 cd16 b40e cd10', //             mov ah, 0; int 0x16; mov ah, 0xe; int 0x10
  '3c0d 75ee', //                       cmp al, 13; jne look
  'b80a0e cd10 ebe7', //                mov ax, 0xe0a; int 0x10; jmp look   ; the next line
]

/** Starts the guest. Resolves when its screen has the size of the text mode. */
export const startTextGuest = (): Promise<QemuGuest> =>
  startBootSector(program, textScreen.columns * textScreen.cellWidth, textScreen.rows * textScreen.cellHeight)
