/** A screen that changes all the time, in noVNC in Chromium: the proxy requests its updates from a QEMU without continuous updates. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type QemuGuest, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPair } from './parts/oriel.ts'
import { canvasOf, untilShows } from './parts/page.ts'
import { samePicture } from './parts/pictures.ts'

const { skip, reason } = requires('qemu', 'chromium')
const [UPDATE_REQUEST, CLIENT_FENCE] = [3, 248]

/** A boot sector that waits for a key, fills its screen anew at each of 40 interrupts of the timer, and stops. */
const program = [
  'b800b8 8ec0', //       mov ax, 0xb800; mov es, ax
  'b400 cd16', //         mov ah, 0; int 0x16        ; a key
  'bb2800 b84107 fb', //  mov bx, 40; mov ax, 0x0741; sti
  'f4 fec0', //     tick: hlt; inc al
  '31ff b9d007', //       xor di, di; mov cx, 2000
  'fc f3ab', //           cld; rep stosw
  '4b 75f2', //           dec bx; jnz tick
  'fa f4 ebfd', //  stop: cli; hlt; jmp stop
]

describe.skipIf(skip)(`a changing screen of a real QEMU guest in Chromium${reason}`, () => {
  const parts = new AsyncDisposableStack()
  const id = randomUUID()
  let guest: QemuGuest

  beforeAll(async () => {
    const disk = join(parts.use(await temporaryFolder()).path, 'changes.img')
    const sector = Buffer.alloc(512)
    Buffer.from(program.join('').replaceAll(' ', ''), 'hex').copy(sector)
    sector.writeUInt16LE(0xaa55, 510)
    await writeFile(disk, sector)
    const args = ['-drive', `file=${disk},format=raw,if=ide`, '-boot', 'order=c,menu=off']
    guest = parts.use(await startQemu({ name: 'web-1', uuid: id, args }))
  })
  afterAll(() => parts.disposeAsync())

  it('arrives whole, although the page hardly requests an update', async () => {
    const consoles = { vnc: { host: guest.host, port: guest.vncPort } }
    await using oriel = await startPair({
      servers: [{ id, name: 'web-1', consoles }],
      proxy: { hypervisor: { identity: 'enforce' } },
    })
    await using browser = await startChromium()
    const page = await browser.newPage()
    const sent = countSent(page)
    const body = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
    const { remote_console } = await oriel.client.at('2.6').createRemoteConsole({ server_id: id, body })
    await page.goto(remote_console.url)
    const before = await untilShows(page, guest)

    await canvasOf(page).click()
    await page.keyboard.press('a')
    // The page returns a fence behind each update.
    await expect.poll(() => sent.get(CLIENT_FENCE) ?? 0, { timeout: 30_000 }).toBeGreaterThan(10)
    await untilShows(page, guest, (picture) => !samePicture(picture, before))
    // One after the handshake, and one behind each update until the proxy has announced that it requests them.
    expect(sent.get(UPDATE_REQUEST)).toBeLessThanOrEqual(5)
  }, 60_000)
})

/** Counts the RFB messages that a page sends, by their type. noVNC sends each in one frame. */
function countSent(page: Page): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const type = typeof payload === 'string' ? undefined : payload[0]
      if (type !== undefined) counts.set(type, (counts.get(type) ?? 0) + 1)
    }),
  )
  return counts
}
