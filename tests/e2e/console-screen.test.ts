/** Looks at real guests with @oriel/console, through api and proxy as two processes. */
import {
  ConsoleClosed,
  ConsoleRefused,
  decodePng,
  type Encoding,
  type Image,
  openScreen,
  type Screen,
  WaitTimeout,
} from '@oriel/console'
import { type QemuGuest, type RgbPicture, requires, startQemu } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { GRUB_ENTRIES } from './parts/grub-disk.ts'
import { requiresLinux, startLinux } from './parts/linux-guest.ts'
import { type Pair, startPair } from './parts/oriel.ts'
import { isDrawn, settled } from './parts/pictures.ts'

const qemu = requires('qemu')
const linux = requiresLinux()
const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const encodings: readonly Encoding[] = ['raw', 'copy-rect', 'hextile', 'tight', 'zrle']

const startOriel = ({ host, vncPort }: QemuGuest) =>
  startPair({ servers: [{ id, name: 'web-1', consoles: { vnc: { host, port: vncPort } } }] })

/** Opens the screen with one encoding, and Raw beside CopyRect, which alone cannot draw a first picture. */
const openWith = ({ client }: Pair, encoding: Encoding) =>
  openScreen(client, id, { encodings: encoding === 'copy-rect' ? ['copy-rect', 'raw'] : [encoding] })

/** Compares what each encoding shows, and its PNG, with QEMU's own picture, pixel for pixel. */
async function expectEqualPictures(guest: QemuGuest, oriel: Pair, size: string): Promise<void> {
  const dump = imageOf(await guest.screendump())
  expect(`${dump.width}x${dump.height}`).toBe(size)
  for (const encoding of encodings) {
    await using screen = await openWith(oriel, encoding)
    const shot = await screen.waitForPicture(dump)
    expect(Buffer.compare(shot.rgba, dump.rgba), encoding).toBe(0)
    expect(Buffer.compare(decodePng(shot.png()).rgba, dump.rgba), encoding).toBe(0)
  }
}

function imageOf({ width, height, data }: RgbPicture): Image {
  const rgba = new Uint8Array(width * height * 4).fill(255)
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to)
  return { width, height, rgba }
}

describe.skipIf(qemu.skip)(`the screen of a real guest in its firmware${qemu.reason}`, () => {
  it('equals QEMU’s own picture in each encoding before the guest runs, and in its text mode', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id, paused: true })
    await using oriel = await startOriel(guest)
    await expectEqualPictures(guest, oriel, '640x480')
    await guest.qmp('cont')
    await settled(guest)
    // A paused guest's cursor does not blink.
    await guest.qmp('stop')
    await expectEqualPictures(guest, oriel, '720x400')
  })

  it('follows a change of size and of the picture while it is open', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id, paused: true })
    await using oriel = await startOriel(guest)
    await using screen = await openScreen(oriel.client, id)
    expect(screen).toMatchObject({ name: 'QEMU (web-1)', width: 640, height: 480 })
    const seen = sizesOf(screen)
    await guest.qmp('cont')
    await screen.waitFor(
      (picture) => picture.height === 400 && isDrawn({ ...picture, data: picture.rgba.filter((_, i) => i % 4 < 3) }),
    )
    const menu = await screen.waitForStill()
    await screen.press('Escape')
    await screen.waitFor((picture) => Buffer.compare(picture.rgba, menu.rgba) !== 0)
    await screen.close()
    expect(await seen).toContain('720x400')
  })

  it('times out with the screen, and ends with the reason when its guest does', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id, paused: true })
    await using oriel = await startOriel(guest)
    await using screen = await openScreen(oriel.client, id)
    const never = screen.waitFor(() => false, { timeoutMs: 50 })
    const timeout = await never.catch((error: unknown) => error)
    expect(timeout).toBeInstanceOf(WaitTimeout)
    expect((timeout as WaitTimeout).screenshot).toMatchObject({ width: 640, height: 480 })
    const waiting = screen.waitFor(() => false)
    waiting.catch(() => {})
    await guest.qmp('quit')
    await expect(waiting).rejects.toBeInstanceOf(ConsoleClosed)
    expect(await screen.ended).toMatchObject({ code: 1000, remedy: 'reconnect' })
    await expect(screen.click(1, 1)).rejects.toThrow('The machine closed the console.')
  })

  it('is refused with the proxy’s reason, and leaves no session when it is closed', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id, paused: true })
    await using oriel = await startOriel(guest)
    const { url } = await oriel.client.createConsole(id, 'novnc')
    const refused = await openScreen({ url: url.replace(/token%3D[^&]*/, 'token%3Dunknown') }).catch((error) => error)
    expect(refused).toBeInstanceOf(ConsoleRefused)
    expect(refused).toMatchObject({ refusal: 'unknown_token', remedy: 'new-console' })
    const screen = await openScreen({ url })
    await screen.close()
    expect(await screen.ended).toBeUndefined()
    await oriel.proxy.waitForLog(({ msg, reason }) => msg === 'session ended' && reason === 'client_closed')
  })

  it('shares the clipboard of the machine with other viewers', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id, paused: true })
    await using oriel = await startOriel(guest)
    await using one = await openScreen(oriel.client, id)
    await using other = await openScreen(oriel.client, id)
    await one.setClipboard('päste €\nline')
    await expect.poll(() => other.clipboard).toBe('päste €\nline')
    expect(one.clipboard).toBeUndefined()
  })
})

describe.skipIf(qemu.skip || linux.skip)(`the screen of a real Linux${qemu.reason}${linux.reason}`, () => {
  it('equals QEMU’s own picture in each encoding at 1024x768, in all colours of its console', async () => {
    await using guest = await startLinux({ uuid: id, boot: 'grub-graphics' })
    await using oriel = await startOriel(guest)
    const bar = 'printf "\\033[3%s;4%sm Oriel " $f $b'
    const bars = `for b in $(seq 0 7); do for f in $(seq 0 7); do ${bar}; done; echo; done`
    await guest.run(`(printf "\\033[?25l"; ${bars}; printf "\\033[0m"; seq 300 | tr "\\n" " ") >/dev/tty1`)
    await using screen = await openScreen(oriel.client, id)
    await screen.waitForText('299 300')
    await guest.qmp('stop')
    await expectEqualPictures(guest, oriel, '1024x768')
    expect(coloursOf(await screen.screenshot())).toBeGreaterThanOrEqual(8)
  })
})

const coloursOf = ({ rgba }: Image) => new Set(new Uint32Array(rgba.buffer)).size

describe.skipIf(qemu.skip || linux.skip)(`a boot by the text on its screen${qemu.reason}${linux.reason}`, () => {
  // `recipes` and `mcp` start from a menu in text mode.
  it('goes from the firmware over a graphical menu to a command in a shell, without a pause', async () => {
    await using guest = await startLinux({ uuid: id, boot: 'grub-graphics', menu: true })
    await using oriel = await startOriel(guest)
    await using screen = await openScreen(oriel.client, id)
    const firmware = screen.waitForText('Booting from Hard Disk')
    await guest.qmp('system_reset')
    await firmware
    // GRUB draws its entries from the top.
    const entry = await screen.waitForText(GRUB_ENTRIES[2], { timeoutMs: 60_000 })
    expect(entry.screen.lines.filter((line) => GRUB_ENTRIES.some((title) => line.includes(title)))).toHaveLength(3)
    await screen.press('Enter')
    await screen.waitForText(/^guest#$/m, { timeoutMs: 60_000 })
    await screen.type('echo $((6*7)).\n')
    const answer = await screen.waitForText(/^42\.$/m)
    expect(answer.screen.lines[answer.row - 1]).toContain('echo $((6*7)).')
  })

  it('fails with the text that is there in place of what was waited for', async () => {
    await using guest = await startQemu({ name: 'web-1', uuid: id })
    await using oriel = await startOriel(guest)
    await using screen = await openScreen(oriel.client, id)
    await screen.waitForText('Press ESC for boot menu.')
    const late = await screen.waitForText('login:', { timeoutMs: 100 }).catch((error: unknown) => error)
    expect(late).toBeInstanceOf(WaitTimeout)
    expect(String((late as WaitTimeout).text)).toMatch(/^SeaBIOS .*\n[\s\S]*\nPress ESC for boot menu\.$/)
  })
})

async function sizesOf(screen: Screen): Promise<Set<string>> {
  const sizes = new Set<string>()
  for await (const { isResized } of screen.updates()) if (isResized) sizes.add(`${screen.width}x${screen.height}`)
  return sizes
}
