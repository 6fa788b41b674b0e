/** `oriel vnc` and `oriel spice` with a real guest, a real proxy, TigerVNC and remote-viewer. */
import { readdirSync, readFileSync } from 'node:fs'
import { connectPeer, freePort, requires, type TemporaryFolder, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, startCli } from './parts/cli.ts'
import { GUEST_ID, GUEST_NAME, startOneGuest, staticSource } from './parts/one-guest.ts'
import { MEMBER_TOKEN } from './parts/oriel.ts'
import {
  bestMatch,
  type Display,
  requiresViewers,
  type StillGuest,
  startDisplay,
  startGuest,
  TOLERANCE,
  until,
  viewerEnv,
} from './parts/spice.ts'

/** What every RFB server sends first. */
const GREETING = Buffer.from('RFB 003.008\n')

const [qemu, viewers] = [requires('qemu'), requiresViewers()]

describe.skipIf(qemu.skip || viewers.skip)(`the command oriel with viewers${qemu.reason}${viewers.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: StillGuest
  let pki: TemporaryFolder
  let home: TemporaryFolder
  let display: Display
  let vncPort: number

  beforeAll(async () => {
    pki = parts.use(await temporaryPki())
    home = parts.use(await temporaryFolder())
    vncPort = await freePort()
    const args = ['-vnc', `127.0.0.1:${vncPort - 5900}`]
    guest = parts.use(await startGuest({ name: GUEST_NAME, uuid: GUEST_ID, spice: {}, args }))
    display = parts.use(await startDisplay())
  })
  afterAll(() => parts.disposeAsync())

  /** Starts Oriel for the guest, and returns the environments of the command with and without a screen. */
  const start = async () => {
    const spice = { host: guest.host, port: guest.spicePort }
    const source = staticSource({ vnc: { host: '127.0.0.1', port: vncPort }, spice })
    const oriel = await startOneGuest({ source, hypervisor: { identity: 'enforce' }, spice: { folder: pki.path } })
    const env = { ORIEL_ENDPOINT: oriel.endpoint, ORIEL_TOKEN: MEMBER_TOKEN, TMPDIR: home.path }
    return Object.assign(oriel, { env, withScreen: { ...env, ...viewerEnv(display, home) } })
  }
  const shows = () =>
    until(
      async () => bestMatch(await guest.screendump(), await display.picture()),
      (share) => share <= TOLERANCE,
    )
  const isGone = () =>
    until(
      () => display.titles(),
      (titles) => titles.length === 0,
    )

  it.each([
    ['the first viewer on PATH, TigerVNC', [], /^vncviewer 127\.0\.0\.1::\d+$/],
    ['remote-viewer', ['--viewer', 'remote-viewer'], /^remote-viewer vnc:\/\/127\.0\.0\.1:\d+$/],
  ])('oriel vnc starts %s, which shows the picture of the guest, and ends with it', async (_, options, line) => {
    await using oriel = await start()
    await using cli = startCli(['vnc', GUEST_NAME, ...options], { env: oriel.withScreen })
    await shows()
    expect(commandLines(cli)).toEqual([expect.stringMatching(line)])
    cli.kill('SIGTERM')
    expect((await cli.result).code).toBe(143)
    await isGone()
  })

  it('oriel vnc ends with its viewer: with 0, or with 1 and the exit code of the viewer', async () => {
    await using oriel = await start()
    const ended = await runCli(['vnc', GUEST_NAME, '--viewer', 'true'], { env: oriel.env })
    expect(ended.code).toBe(0)
    const failed = await runCli(['vnc', GUEST_NAME, '--viewer', 'false'], { env: oriel.env })
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('false ended with exit code 1.') })
  })

  it('oriel vnc without a viewer prints its address, and serves one viewer after another with new consoles', async () => {
    await using oriel = await start()
    await using cli = startCli(['vnc', GUEST_NAME, '--viewer', 'none'], { env: oriel.env })
    const [, port] = await cli.prints(/^127\.0\.0\.1:(\d+)$/m)
    const address = { host: '127.0.0.1', port: Number(port) }
    {
      using first = await connectPeer(address)
      await first.expect(GREETING)
      using second = await connectPeer(address)
      await second.closed()
      await cli.prints(/a second viewer was refused/)
    }
    const served = async () => {
      using third = await connectPeer(address)
      return await third.expect(GREETING).then(
        () => true,
        () => false,
      )
    }
    await until(served, Boolean)
    cli.kill('SIGINT')
    expect((await cli.result).code).toBe(130)
  })

  it('oriel spice starts remote-viewer, which shows the picture of the guest, and leaves no file', async () => {
    await using oriel = await start()
    await using cli = startCli(['spice', GUEST_NAME], { env: oriel.withScreen })
    await shows()
    const [line] = commandLines(cli)
    expect(line).toMatch(/^remote-viewer \S+\/oriel-\w+\/console\.vv$/)
    expect(readdirSync(line!.split(' ')[1]!.replace(/\/console\.vv$/, ''))).toEqual([])
    cli.kill('SIGTERM')
    expect((await cli.result).code).toBe(143)
    await isGone()
    expect(readdirSync(home.path).filter((name) => name.startsWith('oriel-'))).toEqual([])
  })

  it('oriel doctor passes every check of VNC, of SPICE in a page, and of SPICE in a viewer', async () => {
    await using oriel = await start()
    const { code, stdout } = await runCli(['doctor', GUEST_NAME], { env: oriel.env })
    expect(stdout).toMatch(/^ok +novnc console +the first picture has \d+×\d+ pixels$/m)
    expect(stdout).toMatch(/^ok +spice-html5 console +the SPICE server accepts a link$/m)
    expect(stdout).toMatch(/^ok +spice-direct file +remote-viewer connects to 127\.0\.0\.1:\d+ over TLS$/m)
    expect(stdout).toMatch(/^ok +spice-direct viewer +the SPICE server at \S+ accepts viewers$/m)
    expect([code, stdout]).toEqual([0, expect.stringMatching(/ ok, 0 failed, 2 skipped\.$/m)])
  })

  it('oriel spice writes the file that it would have given to a viewer', async () => {
    await using oriel = await start()
    const { code, stdout } = await runCli(['spice', GUEST_NAME, '-o', '-'], { env: oriel.env })
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^\[virt-viewer\]\ntype=spice\n[\s\S]*delete-this-file=1/),
    ])
  })
})

/** Returns the command lines of the children of the command. */
function commandLines({ pid }: RunningCli): string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean)
  return children.map((child) => readFileSync(`/proc/${child}/cmdline`, 'latin1').replaceAll('\0', ' ').trim())
}
