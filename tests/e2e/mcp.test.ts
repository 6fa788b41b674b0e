/** `oriel mcp` with the official MCP client and a real Linux in a real QEMU through a real proxy. */
import { decodePng, requires } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GRUB_ENTRIES } from './parts/grub-disk.ts'
import { type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { startMcp } from './parts/mcp.ts'
import { GUEST_ID, GUEST_NAME, startOneGuest, staticSource } from './parts/one-guest.ts'
import { MEMBER_TOKEN } from './parts/oriel.ts'
import { sessionsOnce } from './parts/sessions.ts'

const qemu = requires('qemu')
const linux = requiresLinux()
const LOOKING = ['list_servers', 'read_text', 'screenshot', 'serial_read', 'wait_for_text']
const INPUT = ['click', 'press', 'serial_send', 'type']
const server = GUEST_NAME

describe.skipIf(qemu.skip || linux.skip)(`oriel mcp${qemu.reason}${linux.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: LinuxGuest
  let oriel: Awaited<ReturnType<typeof startOneGuest>>
  let env: Record<string, string>

  beforeAll(async () => {
    guest = parts.use(await startLinux({ name: GUEST_NAME, boot: 'grub-text', menu: true, serial: true }))
    const [vnc, serial] = [guest.vncPort!, guest.serialPort!].map((port) => ({ host: '127.0.0.1', port }))
    oriel = parts.use(await startOneGuest({ source: staticSource({ vnc, serial }), hypervisor: {} }))
    env = { ORIEL_ENDPOINT: oriel.endpoint, ORIEL_TOKEN: MEMBER_TOKEN }
  })
  afterAll(() => parts.disposeAsync())

  const openSessions = async () => (await oriel.client.oriel.listSessions({ query: { state: 'open' } })).sessions

  it('boots a machine from its GRUB menu to the answer of a command', async () => {
    await using mcp = await startMcp([], env)
    expect(JSON.parse((await mcp.call('list_servers')).text)).toEqual({
      servers: [{ id: GUEST_ID, name: GUEST_NAME, status: 'ACTIVE' }],
    })
    const menu = await mcp.call('wait_for_text', { server, pattern: GRUB_ENTRIES[2], timeout_seconds: 60 })
    for (const entry of GRUB_ENTRIES) expect(menu.text).toContain(entry)
    await mcp.call('press', { server, keys: ['Enter'] })
    await mcp.call('wait_for_text', { server: GUEST_ID, pattern: '^guest#$', timeout_seconds: 90 })
    await mcp.call('type', { server, text: 'echo $((6*7)).', enter: true })
    const answer = await mcp.call('wait_for_text', { server, pattern: String.raw`^42\.$` })
    expect(answer).toMatchObject({ isError: false, text: expect.stringMatching(/^Found: 42\.\nOn the screen is:\n/) })
    expect((await mcp.call('read_text', { server })).text).toContain('echo $((6*7)).\n42.')
    expect(await openSessions()).toMatchObject([{ type: 'novnc', role: 'control' }])
    expect(mcp.errors).toEqual([])
    expect(mcp.logged()).toContain(`oriel: type ${GUEST_NAME}\n`)
    expect(mcp.logged()).not.toMatch(new RegExp(`echo|token=|${MEMBER_TOKEN}`))
  })

  it('returns the screen of a machine as an image', async () => {
    await guest.run('printf "\\033[?25l" >/dev/tty1')
    await using mcp = await startMcp([], env)
    const { images, text } = await mcp.call('screenshot', { server })
    const { width, height } = await guest.screendump()
    expect(images.map((image) => decodePng(image))).toMatchObject([{ width, height }])
    expect(text).toBe(`The screen of ${GUEST_NAME}, ${width}×${height} pixels.`)
    expect(await mcp.call('click', { server, x: width - 1, y: 0 })).toMatchObject({ isError: false })
    expect(await mcp.call('click', { server, x: width, y: 0 })).toMatchObject({
      ...{ isError: true, text: expect.stringContaining(`is not on the screen of ${width}×${height} pixels.`) },
    })
  })

  it('sends to a serial console and reads its output since the last call', async () => {
    await guest.run('true')
    await using mcp = await startMcp([], env)
    await mcp.call('serial_send', { server, text: '', enter: true })
    const first = await mcp.call('serial_read', { server, until: 'guest# $', timeout_seconds: 30 })
    expect(first).toMatchObject({ isError: false, text: expect.stringMatching(/^\(The console was opened with this/) })
    await mcp.call('serial_send', { server, text: 'echo $((6*7))', enter: true })
    const second = await mcp.call('serial_read', { server, until: '^42\n', timeout_seconds: 30 })
    expect(second).toMatchObject({ isError: false, text: 'echo $((6*7))\n42\n' })
    expect(await mcp.call('serial_read', { server, until: 'login:', timeout_seconds: 0.2 })).toEqual({
      ...{ isError: true, images: [] },
      text: 'The serial console did not print /login:/m within 0.2 seconds. The output is:\nguest# ',
    })
  })

  it('answers a mistake with what to do, and stays', async () => {
    await using mcp = await startMcp([], env)
    const calls = [
      ['screenshot', { server: 'web' }, 'There is no server web in this project. Did you mean web-1?'],
      ['wait_for_text', { server, pattern: '(' }, '( is not a regular expression'],
      ['wait_for_text', { server, pattern: 'x', timeout_seconds: 1e9 }, 'timeout_seconds'],
      ['wait_for_text', { server, pattern: 'panic', timeout_seconds: 0.2 }, 'The screen did not show /panic/m within'],
      ['type', { server, text: '€' }, 'The keyboard layout us cannot type "€"'],
      ['type', { server, text: '' }, 'There is no text to type.'],
      ['press', { server, keys: ['Escpe'] }, 'Escpe'],
    ] as const
    for (const [name, args, sentence] of calls) {
      expect(await mcp.call(name, args), name).toMatchObject({ isError: true, text: expect.stringContaining(sentence) })
    }
    expect(await mcp.call('read_text', { server })).toMatchObject({ isError: false })
  })

  it('offers no tool that sends input with --read-only, and refuses one that is called by its name', async () => {
    await using mcp = await startMcp(['--read-only'], env)
    const { tools } = await mcp.client.listTools()
    expect(tools.map(({ name }) => name).toSorted()).toEqual(LOOKING)
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true)
    const inputs = { type: { text: 'x' }, press: { keys: ['x'] }, click: { x: 1, y: 1 }, serial_send: { text: 'x' } }
    for (const [name, input] of Object.entries(inputs)) {
      await expect(mcp.call(name, { server, ...input }), name).rejects.toThrow(`Tool ${name} not found`)
    }
    await sessionsOnce(openSessions, (sessions) => sessions.length === 0)
    expect(await mcp.call('read_text', { server })).toMatchObject({ isError: false })
    await mcp.call('serial_read', { server, timeout_seconds: 0.1 })
    const roles = (await openSessions()).map(({ type, role }) => ({ type, role }))
    expect(roles).toHaveLength(2)
    expect(roles).toEqual(
      expect.arrayContaining([
        { type: 'novnc', role: 'watch' },
        { type: 'serial', role: 'watch' },
      ]),
    )
  })

  it('marks the tools that send input as destructive', async () => {
    await using mcp = await startMcp([], env)
    const { tools } = await mcp.client.listTools()
    expect(tools.map(({ name }) => name).toSorted()).toEqual([...LOOKING, ...INPUT].toSorted())
    const destructive = tools.filter(({ annotations }) => annotations?.destructiveHint).map(({ name }) => name)
    expect(destructive.toSorted()).toEqual(INPUT)
  })

  it('leaves no session open when its client is killed in the midst of a call', async () => {
    const mcp = await startMcp([], env)
    await mcp.call('read_text', { server })
    await mcp.call('serial_send', { server, text: '', enter: true })
    const waiting = mcp.call('wait_for_text', { server, pattern: 'never', timeout_seconds: 600 }).catch(() => {})
    await sessionsOnce(openSessions, (sessions) => sessions.length === 2)
    mcp.kill()
    await waiting
    await sessionsOnce(openSessions, (sessions) => sessions.length === 0)
  })
})
