/** A screen over a real WebSocket, whose server the tests play. */
import { Conflict, ConnectionError, NotFound, type OrielError } from '@oriel/sdk'
import { drawText } from '@oriel/testkit'
import { describe, expect, it, vi } from 'vitest'
import {
  type AccessUrl,
  type Change,
  ConsoleClosed,
  ConsoleRefused,
  createGlyphTable,
  type Image,
  openScreen,
  openSerial,
  ProtocolError,
  type Screen,
  type Typed,
  WaitTimeout,
} from '../src/index.ts'
import { Life } from '../src/screen/life.ts'
import { takeScreenshot } from '../src/screen/picture.ts'
import { waitUntil } from '../src/screen/wait.ts'
import { hello, pixels, rectangle, rowsOf, u16, update } from './parts/server.ts'
import { startWebServer, TOKEN, type Viewer, type WebServer, type WebServerOptions } from './parts/web-server.ts'
import { inventedFont } from './text/invented-font.ts'

const rows = async (screen: Screen) => rowsOf(await screen.screenshot())

/** Opens a screen and returns it with its server's end. */
async function opened(options: WebServerOptions = {}, more: Omit<AccessUrl, 'url'> = {}) {
  const server = await startWebServer(options)
  const [screen, viewer] = await Promise.all([openScreen({ url: server.url, ...more }), server.viewer()])
  return {
    ...{ server, screen, viewer },
    async [Symbol.asyncDispose]() {
      await screen.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Resolves with the error of an attempt to open a screen. */
async function failure(server: WebServer, options: Omit<AccessUrl, 'url'> = {}): Promise<unknown> {
  const error = await openScreen({ url: server.url, ...options }).then(
    () => 'it opened',
    (cause: unknown) => cause,
  )
  expect(String(error)).not.toContain(TOKEN)
  return error
}

/** Resolves when the screen has noticed the loss of its connection. */
const untilLost = (screen: Screen) =>
  vi.waitFor(() => expect(screen.press('a')).rejects.toThrow('The console is being opened again'))

const keyEvent = (down: boolean, keysym: number) => `040${down ? 1 : 0}0000${keysym.toString(16).padStart(8, '0')}`
const keyDown = (character: string) => keyEvent(true, character.charCodeAt(0))
const keyUp = (character: string) => keyEvent(false, character.charCodeAt(0))
const NUM_LOCK = keyEvent(true, 0xff7f) + keyEvent(false, 0xff7f)

/** Sends the state of the lights, and resolves when the screen has it. */
async function reportLights({ screen, viewer }: Awaited<ReturnType<typeof opened>>, { numLock }: { numLock: boolean }) {
  viewer.send(update([rectangle(-261, [0, 0, 1, 1], Buffer.of(numLock ? 2 : 0))]))
  await screen.waitFor(() => screen.leds?.numLock === numLock)
}

describe('a screen', () => {
  it('opens with its first picture', async () => {
    await using open = await opened({ picture: 'wo' })
    expect(open.screen).toMatchObject({ width: 2, height: 1, name: 'web-1', leds: undefined, clipboard: undefined })
    expect(await rows(open.screen)).toEqual(['wo'])
  })

  it('closes its WebSocket, and ends without an error', async () => {
    await using open = await opened()
    await open.screen.close()
    expect(await open.screen.ended).toBeUndefined()
    expect(await open.viewer.closed).toEqual({ code: 1005 })
    await expect(open.screen.press('Escape')).rejects.toThrow('The console is closed')
    await expect(open.screen.screenshot()).rejects.toBeInstanceOf(ConnectionError)
  })

  it('fails to open without an answer, without a picture, and without a server', async () => {
    await using silent = await startWebServer({ silent: true })
    await using blank = await startWebServer({ picture: '' })
    const [first, second] = await Promise.all([silent, blank].map((server) => failure(server, { openTimeoutMs: 100 })))
    expect(first).toMatchObject({ name: 'ConnectionError', reason: 'timeout' })
    expect(String(first)).toMatch(/showed no screen within 100 ms \(waiting for: version\)/)
    expect(String(second)).toMatch(/waiting for: message/)
    const gone = await startWebServer()
    await gone[Symbol.asyncDispose]()
    expect(await failure(gone)).toMatchObject({ name: 'ConnectionError', reason: 'network' })
  })

  it('opens once a server that begins with an empty screen has sent a size and a picture', async () => {
    const script = (viewer: Viewer) => {
      viewer.send(hello(0, 0))
      viewer.send(update([rectangle(0, [0, 0, 0, 0])]))
      viewer.send(update([rectangle(-223, [0, 0, 2, 1])]))
      viewer.show('wo')
    }
    await using server = await startWebServer({ silent: true, script })
    await using screen = await openScreen({ url: server.url })
    expect(await rows(screen)).toEqual(['wo'])
  })

  it('names the empty screen of a server that sends no size', async () => {
    const script = (viewer: Viewer) => viewer.send(Buffer.concat([hello(0, 0), update([rectangle(0, [0, 0, 0, 0])])]))
    await using server = await startWebServer({ silent: true, script })
    expect(String(await failure(server, { openTimeoutMs: 100 }))).toMatch(/waiting for: a size other than 0x0/)
  })

  it('fails to open with the reason of its signal, and closes the connection', async () => {
    await using server = await startWebServer({ silent: true })
    const controller = new AbortController()
    const failed = failure(server, { signal: controller.signal })
    const viewer = await server.viewer()
    controller.abort(new Error('enough'))
    expect(await failed).toEqual(new Error('enough'))
    await viewer.closed
    expect(await failure(server, { signal: AbortSignal.abort('never') })).toBe('never')
  })

  it('reports the refusal of Oriel’s proxy, and that of another as a broken connection', async () => {
    const script = ({ socket }: { socket: { close(code: number, reason: string): void } }) =>
      socket.close(4429, 'too_many_attempts retry=12: Too many attempts.')
    await using oriel = await startWebServer({ protocol: 'oriel.refusals', silent: true, script })
    const refused = await failure(oriel)
    expect(refused).toBeInstanceOf(ConsoleRefused)
    expect(refused).toMatchObject({
      ...{ code: 4429, refusal: 'too_many_attempts', remedy: 'reconnect', retryAfterSeconds: 12 },
      message: 'Too many attempts.',
    })
    await using other = await startWebServer({ status: 403 })
    expect(await failure(other)).toBeInstanceOf(ConnectionError)
  })

  it.each([
    ['a close code of Oriel’s', 4008, '', ConsoleClosed, 'An operator ended this session.', 'new-console'],
    ['a normal end', 1000, '', ConsoleClosed, 'The machine closed the console.', 'reconnect'],
    ['a code of another proxy', 4999, 'out\nof order', ConsoleClosed, 'out of order', 'reconnect'],
  ])('ends with %s', async (_, code, reason, kind, message, remedy) => {
    await using open = await opened()
    const waiting = open.screen.waitFor(() => false).catch((error: unknown) => error)
    open.viewer.socket.close(code, reason)
    const end = await open.screen.ended
    expect(end).toBeInstanceOf(kind)
    expect(end).toMatchObject({ code, message, remedy })
    expect(await waiting).toBe(end)
    expect(await open.screen.waitForStill().catch((error) => error)).toBe(end)
  })

  it('ends when its connection breaks', async () => {
    await using open = await opened()
    open.viewer.socket.terminate()
    expect(await open.screen.ended).toMatchObject({ name: 'ConnectionError', reason: 'network' })
  })

  it.each([
    ['a message of an unknown type', (viewer: { send(bytes: Uint8Array): void }) => viewer.send(Buffer.of(99))],
    ['text', ({ socket }: { socket: { send(text: string): void } }) => socket.send('hello')],
  ])('ends after %s, and closes the connection', async (_, disturb) => {
    await using open = await opened()
    disturb(open.viewer)
    expect(await open.screen.ended).toBeInstanceOf(ProtocolError)
    await open.viewer.closed
  })

  it('ends if the server does not answer a request for a pixel any more', async () => {
    await using open = await opened({}, { silenceTimeoutMs: 300 })
    await open.viewer.untilSent('03000000000000010001')
    const end = (await open.screen.ended) as OrielError
    expect(end).toMatchObject({ name: 'ConnectionError', reason: 'timeout' })
    expect(end.message).toMatch(/did not answer within 300 ms/)
  })

  it('stays open as long as the server answers requests for a pixel', async () => {
    await using open = await opened({}, { silenceTimeoutMs: 400 })
    for (let answers = 0; answers < 5; answers += 1) {
      const before = open.viewer.sent().length
      while (!open.viewer.sent().slice(before).includes('03000000000000010001')) await tick(open.viewer.socket)
      open.viewer.send(update([rectangle(0, [0, 0, 1, 1], pixels('b'))]))
    }
    expect(await rows(open.screen)).toEqual(['bg'])
  })

  it('sends keys in the order of their names, and the pointer with its buttons', async () => {
    await using open = await opened()
    await open.screen.press('Control+a', 'Escape')
    await open.viewer.untilSent(
      ['0401 0000 0000ffe3', '0401 0000 00000061', '0400 0000 00000061', '0400 0000 0000ffe3', '0401 0000 0000ff1b']
        .join('')
        .replaceAll(' ', ''),
    )
    await open.screen.click(1, 0, { button: 'right' })
    await open.screen.scroll('down', 1)
    await open.screen.drag({ x: 0, y: 0 }, { x: 1, y: 0 })
    await open.viewer.untilSent(
      ['0500 0001 0000', '0504 0001 0000', '0500 0001 0000', '0510 0001 0000', '0500 0001 0000', '0500 0000 0000']
        .concat('0501 0000 0000', '0501 0001 0000', '0501 0001 0000', '0500 0001 0000')
        .join('')
        .replaceAll(' ', ''),
    )
  })

  it('types on when the guest has set the light of Num Lock, and not before', async () => {
    await using open = await opened()
    await reportLights(open, { numLock: false })
    const typed = open.screen.type('abcdefgh')
    await open.viewer.untilSent(NUM_LOCK)
    expect(open.viewer.sent()).toContain(keyDown('e') + keyUp('e') + NUM_LOCK)
    expect(open.viewer.sent()).not.toContain(keyDown('f'))
    await reportLights(open, { numLock: true })
    await open.viewer.untilSent(keyUp('h') + NUM_LOCK)
    await reportLights(open, { numLock: false })
    await typed
    expect(open.viewer.sent().split(NUM_LOCK)).toHaveLength(3)
  })

  it('reports how many characters of a text are sent and taken', async () => {
    await using open = await opened()
    await reportLights(open, { numLock: false })
    const reports: Typed[] = []
    const typing = open.screen.type('Abcdefgh', { onTyped: (typed) => reports.push(typed) })
    await open.viewer.untilSent(NUM_LOCK)
    expect(reports).toEqual([{ sent: 4, taken: 0, total: 8 }])
    await reportLights(open, { numLock: true })
    await open.viewer.untilSent(keyUp('h'))
    expect(reports.slice(1)).toEqual([{ sent: 8, taken: 4, total: 8 }])
    open.viewer.socket.close(1000)
    await expect(typing).rejects.toThrow('The machine closed the console.')
    expect(reports).toHaveLength(2)
  })

  it('types nothing of a text that its layout lacks a character of', async () => {
    await using open = await opened()
    await expect(open.screen.type('aé')).rejects.toThrow('The keyboard layout us cannot type "é" (U+00E9)')
    await open.screen.type('é', { layout: 'fr' })
    await open.viewer.untilSent(keyDown('é'))
    expect(open.viewer.sent()).not.toContain(keyDown('a'))
  })

  it('names the buttons and directions that exist if one does not, and sends nothing', async () => {
    await using open = await opened({ picture: 'wo' })
    const { screen } = open
    const noButton = 'There is no button "thumb". There are left, middle, right.'
    await expect(screen.click(0, 0, { button: 'thumb' as never })).rejects.toThrow(noButton)
    await expect(screen.drag({ x: 0, y: 0 }, { x: 1, y: 0 }, { button: 'thumb' as never })).rejects.toThrow(noButton)
    await expect(screen.scroll('in' as never)).rejects.toThrow('There is no direction "in". There are up, down, left,')
    await expect(screen.click(0.5, 0)).rejects.toThrow('The point 0.5, 0 is not a whole pixel')
    await screen.move(1, 0)
    await open.viewer.untilSent('050000010000')
    expect(open.viewer.sent()).toMatch(/03010000000000020001050000010000$/)
  })

  it('names the encodings that exist if one does not, before it dials', async () => {
    const opening = openScreen({ url: 'ws://127.0.0.1:1/', encodings: ['h264' as never] })
    await expect(opening).rejects.toThrow(
      'There is no encoding "h264". There are tight, zrle, hextile, copy-rect, raw.',
    )
  })

  it.each([
    ['openScreen', () => openScreen({ url: 'ws://127.0.0.1:1/' })],
    ['openSerial', () => openSerial({ url: 'ws://127.0.0.1:1/' })],
  ])('%s names the platform that it needs on an older one', async (_, open) => {
    const { withResolvers } = Promise
    Object.assign(Promise, { withResolvers: undefined })
    try {
      await expect(open()).rejects.toThrow('@oriel/console needs Node 22, Deno 1.38,')
    } finally {
      Object.assign(Promise, { withResolvers })
    }
  })

  it('refuses a point that is not on it, and an unknown key, before it sends anything', async () => {
    await using open = await opened()
    for (const [x, y] of [
      [2, 0],
      [0, 1],
      [-1, 0],
      [0.5, 0],
      [Number.NaN, 0],
    ] as const) {
      await expect(open.screen.click(x, y)).rejects.toThrow(RangeError)
    }
    await expect(open.screen.drag({ x: 0, y: 0 }, { x: 2, y: 0 })).rejects.toThrow('2, 0 is not on the screen of 2x1')
    await expect(open.screen.press('a', 'Escpae')).rejects.toThrow('Did you mean "Escape"')
    await open.screen.move(1, 0)
    await open.viewer.untilSent('050000010000')
    expect(open.viewer.sent()).toMatch(/03010000000000020001050000010000$/)
  })
})

describe('the updates of a screen', () => {
  it('are the areas that change, also for a reader that was slow, until the screen is closed', async () => {
    await using open = await opened()
    const changes = open.screen.updates()
    const first = changes.next()
    open.viewer.send(update([rectangle(0, [1, 0, 1, 1], pixels('b'))]))
    const right = { x: 1, y: 0, width: 1, height: 1 }
    expect(await first).toEqual({ done: false, value: { rectangles: [right], isResized: false } })
    const both = open.screen.waitFor((picture) => rowsOf(picture)[0] === 'ww')
    open.viewer.send(update([rectangle(0, [0, 0, 1, 1], pixels('w'))]))
    open.viewer.send(update([rectangle(0, [1, 0, 1, 1], pixels('w'))]))
    await both
    const second = (await changes.next()).value as Change
    expect(second.rectangles).toEqual([{ x: 0, y: 0, width: 1, height: 1 }, right])
    const last = changes.next()
    await open.screen.close()
    expect(await last).toEqual({ done: true, value: undefined })
  })

  it('become one area around them for a reader that is far behind, and start anew with another size', async () => {
    await using open = await opened({ size: [20, 20], picture: '.'.repeat(400) })
    const changes = open.screen.updates()
    const first = changes.next()
    open.viewer.send(update([rectangle(0, [0, 0, 1, 1], pixels('w'))]))
    await first
    const many = Array.from({ length: 300 }, (_, i) => rectangle(0, [2 + (i % 5), 3, 1, 1], pixels('r')))
    const drawn = open.screen.waitFor((picture) => rowsOf(picture)[3]?.includes('g'))
    open.viewer.send(update([rectangle(0, [4, 4, 1, 1], pixels('r'))]))
    open.viewer.send(update([...many, rectangle(0, [6, 3, 1, 1], pixels('g'))]))
    await drawn
    expect((await changes.next()).value).toEqual({
      rectangles: [{ x: 2, y: 3, width: 5, height: 2 }],
      isResized: false,
    })
    const next = changes.next()
    open.viewer.send(update([rectangle(-223 >>> 0, [0, 0, 2, 2])]))
    expect((await next).value).toEqual({ rectangles: [], isResized: true })
  })

  it('throw the error with which the screen ends', async () => {
    await using open = await opened()
    const change = open.screen.updates().next()
    open.viewer.socket.close(4008)
    await expect(change).rejects.toThrow('An operator ended this session.')
  })
})

describe('waiting', () => {
  it('for a predicate looks at once and at each change, and resolves with what it returns', async () => {
    await using open = await opened()
    expect(await open.screen.waitFor(() => 'now')).toBe('now')
    const seen: string[] = []
    const found = open.screen.waitFor(async (picture) => {
      seen.push(rowsOf(picture)[0]!)
      return seen.at(-1) === 'bw' && { x: 1 }
    })
    open.viewer.show('gg')
    await open.screen.waitFor((picture) => rowsOf(picture)[0] === 'gg')
    open.viewer.show('bw')
    expect(await found).toEqual({ x: 1 })
    expect(seen).toEqual(['rg', 'gg', 'bw'])
  })

  it('looks once more at what changed while an asynchronous predicate was at work', async () => {
    await using open = await opened()
    const work = Promise.withResolvers<undefined>()
    let looks = 0
    const found = open.screen.waitFor(async (picture) => {
      looks += 1
      if (looks === 1) await work.promise
      return rowsOf(picture)[0] === 'bw'
    })
    open.viewer.show('bw')
    await open.screen.waitFor((picture) => rowsOf(picture)[0] === 'bw')
    work.resolve(undefined)
    expect(await found).toBe(true)
    expect(looks).toBe(2)
  })

  it('has the server look for changes at once', async () => {
    let hurried = 0
    const watched = {
      ...{ life: new Life(), lost: () => undefined, text: () => undefined },
      hurry() {
        hurried += 1
      },
      screenshot: () => takeScreenshot({ width: 0, height: 0, rgba: new Uint8Array() }),
    }
    const stop = new AbortController()
    const waiting = waitUntil(watched, 'it', () => undefined, { signal: stop.signal })
    expect(hurried).toBe(1)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it('fails at its deadline with the last picture, with the error of its predicate, and with its signal', async () => {
    await using open = await opened({ picture: 'wo' })
    const late = await open.screen.waitFor(() => null, { timeoutMs: 30 }).catch((error) => error)
    expect(late).toBeInstanceOf(WaitTimeout)
    expect(late.message).toBe('The screen did not show a picture that fulfils the predicate within 30 ms')
    expect(rowsOf(late.screenshot)).toEqual(['wo'])
    const broken = () => {
      throw new Error('broken')
    }
    await expect(open.screen.waitFor(broken)).rejects.toThrow('broken')
    await expect(open.screen.waitFor(async () => broken())).rejects.toThrow('broken')
    const controller = new AbortController()
    const aborted = open.screen.waitFor(() => undefined, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await expect(open.screen.waitForStill({ signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never')
  })

  it('for stillness ignores a blinking cursor and masked areas, and no other change', async () => {
    await using open = await opened({ size: [3, 1], picture: 'rgb' })
    let blinks = 0
    const blinking = setInterval(() => open.viewer.show(blinks++ % 2 === 0 ? 'rww' : 'rgb'), 10)
    const cursor = { quietMs: 200, maxPixels: 1, mask: [{ x: 2, y: 0, width: 1, height: 1 }] }
    const still = open.screen.waitForStill(cursor)
    let isOver = false
    const never = open.screen.waitForStill({ quietMs: 1000, maxPixels: 1 }).finally(() => {
      isOver = true
    })
    expect(rowsOf(await still)[0]).toMatch(/^r/)
    for (let i = 0; i < 6; i += 1) await open.screen.waitForStill(cursor)
    expect(isOver).toBe(false)
    clearInterval(blinking)
    open.viewer.show('ooo')
    expect(rowsOf(await never)).toEqual(['ooo'])
  })

  it('for a picture accepts a share of pixels, a difference in channels, a mask and transparency', async () => {
    await using open = await opened({ size: [4, 1], picture: 'rgbp' })
    const expected = (hexadecimal: string) => ({
      ...{ width: 4, height: 1 },
      rgba: new Uint8Array(Buffer.from(hexadecimal.replaceAll(' ', ''), 'hex')),
    })
    const soon = { timeoutMs: 30 }
    const exact = expected('ff0000ff 00ff00ff 0000ffff 112233ff')
    const near = expected('fc0300ff 00ff00ff 0000ffff 112233ff')
    const other = expected('ffffffff 00ff00ff 0000ffff 112233ff')
    const clear = expected('ffffff00 00ff00ff 0000ffff 112233ff')
    for (const picture of [exact, clear]) expect(rowsOf(await open.screen.waitForPicture(picture))).toEqual(['rgbp'])
    for (const picture of [near, other, { ...exact, width: 2, height: 2 }]) {
      await expect(open.screen.waitForPicture(picture, soon)).rejects.toThrow('did not show the picture')
    }
    await open.screen.waitForPicture(near, { channelTolerance: 3 })
    await expect(open.screen.waitForPicture(near, { channelTolerance: 2, ...soon })).rejects.toThrow(WaitTimeout)
    await open.screen.waitForPicture(other, { tolerance: 0.25 })
    await expect(open.screen.waitForPicture(other, { tolerance: 0.24, ...soon })).rejects.toThrow(WaitTimeout)
    await open.screen.waitForPicture(other, { mask: [{ x: 0, y: 0, width: 1, height: 1 }] })
    const later = open.screen.waitForPicture(other)
    open.viewer.show('wgbp')
    expect(rowsOf(await later)).toEqual(['wgbp'])
  })
})

describe('a screen that is to reconnect', () => {
  it('opens the same address again after its proxy restarted, while waits go on', async () => {
    await using open = await opened({}, { reconnect: true })
    const found = open.screen.waitFor((picture) => rowsOf(picture)[0] === 'wo')
    const next = open.server.viewer()
    open.viewer.socket.close(1001)
    await open.viewer.closed
    await expect(open.screen.press('Escape')).rejects.toThrow('The console is being opened again')
    const second = await next
    second.show('wo')
    expect(await found).toBe(true)
    await open.screen.press('Escape')
    await second.untilSent('040100000000ff1b')
  })

  it('names the lost connection if it does not come back before the deadline of a wait', async () => {
    await using server = await startWebServer({ picture: 'wo' })
    const client = {
      createConsole: () => client.create() as never,
      create: async (): Promise<unknown> => ({ url: server.url }),
    }
    await using screen = await openScreen(client, 'server-1', { reconnect: true })
    const viewer = await server.viewer()
    client.create = () => new Promise(() => {})
    viewer.socket.close(1000)
    await untilLost(screen)
    const late = await screen.waitForText('login:', { timeoutMs: 50 }).catch((error: unknown) => error)
    expect(late).toMatchObject({ name: 'WaitTimeout', lost: { message: 'The machine closed the console.' } })
    expect(String(late)).toContain(
      'did not show "login:" within 50 ms, because its connection was lost: The machine closed the console.',
    )
    expect(rowsOf((late as WaitTimeout).screenshot)).toEqual(['wo'])
  })

  it('does not call a picture still while its connection is lost', async () => {
    await using open = await opened({}, { reconnect: true })
    const { screen } = open
    const next = open.server.viewer()
    open.viewer.socket.close(1001)
    await untilLost(screen)
    let isStill = false
    const still = screen.waitForStill({ quietMs: 100 }).then(() => {
      isStill = true
    })
    // The second connection is opened half a second after the loss of the first.
    await next
    expect(isStill).toBe(false)
    await still
  })

  it('does not type the rest of a text into the console that it opens again', async () => {
    await using open = await opened({}, { reconnect: true })
    await reportLights(open, { numLock: false })
    const typed = open.screen.type('abcdefgh')
    await open.viewer.untilSent(NUM_LOCK)
    const failed = expect(typed).rejects.toThrow('opened again while keys were sent. They are incomplete.')
    const [next] = [open.server.viewer(), open.viewer.socket.close(1001)]
    const viewer = await next
    viewer.show('wo')
    await open.screen.waitFor((picture) => rowsOf(picture)[0] === 'wo')
    await reportLights({ ...open, viewer }, { numLock: true })
    await failed
    expect(viewer.sent()).not.toContain(keyDown('f'))
  })

  it('creates another console with its client, and tries again while the machine is stopped', async () => {
    await using server = await startWebServer()
    const outcomes = ['open', 'stopped', 'broken', 'open']
    const client = {
      createConsole: async () => {
        const outcome = outcomes.shift()
        if (outcome === 'stopped') throw new Conflict('stopped', fault(409))
        if (outcome === 'broken') throw new ConnectionError('network', 'no answer')
        return { url: server.url, type: 'novnc', protocol: 'vnc' } as never
      },
    }
    await using screen = await openScreen(client, 'server-1', { reconnect: true })
    const first = await server.viewer()
    const next = server.viewer()
    first.socket.close(1000)
    await next
    expect(outcomes).toEqual([])
    expect(await rows(screen)).toEqual(['rg'])
  })

  it('ends when the permission is withdrawn, or its next attempt is refused for good', async () => {
    await using first = await opened({}, { reconnect: true })
    first.viewer.socket.close(4007)
    expect(await first.screen.ended).toMatchObject({ name: 'ConsoleClosed', code: 4007 })

    await using server = await startWebServer()
    let attempts = 0
    const client = {
      createConsole: async () => {
        attempts += 1
        if (attempts > 1) throw new NotFound('gone', fault(404))
        return { url: server.url, type: 'novnc', protocol: 'vnc' } as never
      },
    }
    await using screen = await openScreen(client, 'server-1', { reconnect: true })
    const viewer = await server.viewer()
    viewer.socket.terminate()
    expect(await screen.ended).toBeInstanceOf(NotFound)
  })

  it('stops trying when it is closed', async () => {
    await using open = await opened({}, { reconnect: true })
    open.viewer.socket.close(1001)
    await open.viewer.closed
    await open.screen.close()
    expect(await open.screen.ended).toBeUndefined()
    await expect(open.screen.press('Escape')).rejects.toThrow('The console is closed')
  })
})

const fault = (status: number) => ({
  ...{ status, operation: 'createRemoteConsole', requestId: undefined, key: undefined, retryAfterSeconds: undefined },
})

it('opens a console of a client, and passes on its failure', async () => {
  await using server = await startWebServer()
  const made: unknown[] = []
  const client = {
    createConsole: async (...call: unknown[]) => {
      made.push(call)
      if (call[0] === 'none') throw new Error('no such server')
      return { url: server.url, type: 'novnc', protocol: 'vnc' } as never
    },
  }
  await using screen = await openScreen(client, 'server-1')
  expect(await rows(screen)).toEqual(['rg'])
  await expect(openScreen(client, 'none', { signal: AbortSignal.timeout(60_000) })).rejects.toThrow('no such server')
  expect(made).toEqual([
    ['server-1', 'novnc', {}],
    ['none', 'novnc', { signal: expect.any(AbortSignal) }],
  ])
})

it('reads frames that end anywhere in a message', async () => {
  const script = ({ send }: { send(bytes: Uint8Array): void }) => {
    const bytes = Buffer.concat([
      hello(2, 1),
      update([rectangle(0, [0, 0, 2, 1], pixels('ow')), rectangle(1, [0, 0, 1, 1], u16(1), u16(0))]),
    ])
    for (const byte of bytes) send(Buffer.of(byte))
  }
  await using server = await startWebServer({ silent: true, script })
  await using screen = await openScreen({ url: server.url })
  expect(await rows(screen)).toEqual(['ww'])
})

/** Resolves at the next message, which the tests' screens send without end. */
const tick = (socket: { once(name: string, listener: () => void): unknown }) =>
  new Promise<void>((resolve) => socket.once('received', () => resolve()))

describe('the text of a screen', () => {
  const font = inventedFont(8, 16)
  const glyphs = createGlyphTable([font])
  const size = [480, 64] as const
  /** An update that shows lines of text. */
  const lines = (...text: string[]) => {
    const { rgba } = drawText(text, { font, width: size[0], height: size[1] })
    return update([rectangle(0, [0, 0, ...size], rgba)])
  }
  const open = async (...text: string[]) =>
    opened({
      size,
      picture: '',
      silent: true,
      script: ({ send }) => send(Buffer.concat([hello(...size), lines(...text)])),
    })

  it('is read line by line', async () => {
    await using opening = await open('Debian GNU/Linux 12 guest tty1', '', 'guest login: ')
    const text = await opening.screen.text({ glyphs })
    expect(text.lines).toEqual(['Debian GNU/Linux 12 guest tty1', '', 'guest login:', ''])
    await opening.screen.close()
    await expect(opening.screen.text({ glyphs })).rejects.toThrow('The console is closed')
  })

  it('is waited for with a string or an expression, whose match has its place', async () => {
    await using opening = await open('SeaBIOS version 1.16', '', 'Press ESC for boot menu.')
    const version = await opening.screen.waitForText(/version (\d+)\.(\d+)/g, { glyphs })
    expect(version).toMatchObject({ text: 'version 1.16', groups: ['1', '16'], row: 0, column: 8 })
    expect(version.screen.lines).toHaveLength(4)
    const login = opening.screen.waitForText('login:', { glyphs })
    opening.viewer.send(lines('Debian GNU/Linux 12', 'guest login: '))
    expect(await login).toMatchObject({ text: 'login:', groups: [], row: 1, column: 6 })
  })

  it('is in the error if what was waited for did not show', async () => {
    await using opening = await open('Kernel panic: not syncing')
    const late = await opening.screen.waitForText(/login:/, { glyphs, timeoutMs: 50 }).catch((error) => error)
    expect(late).toBeInstanceOf(WaitTimeout)
    expect(late.message).toBe('The screen did not show /login:/ within 50 ms')
    expect(String(late.text)).toBe('Kernel panic: not syncing')
    expect(late.screenshot).toMatchObject({ width: 480, height: 64 })
  })

  it('comes from the caller’s own recognition only where no font of a console is on the screen', async () => {
    await using opening = await opened({ picture: 'ow' })
    const seen: string[][] = []
    const recognize = async (picture: Image) => {
      seen.push(rowsOf(picture))
      return seen.length === 1 ? 'a dialog' : 'a dialog\nOK'
    }
    const found = opening.screen.waitForText('OK', { glyphs, recognize })
    opening.viewer.show('wo')
    expect(await found).toMatchObject({ row: 1, column: 0, screen: { lines: ['a dialog', 'OK'] } })
    await using console_ = await open('Debian GNU/Linux 12 guest tty1')
    const text = await console_.screen.text({ glyphs, recognize: () => 'not called' })
    expect(String(text)).toBe('Debian GNU/Linux 12 guest tty1')
  })
})
