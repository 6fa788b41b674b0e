/** The commands that look at a screen and type, with a real Linux in a real QEMU through a real proxy. */
import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodePng, requires, type TemporaryFolder, temporaryFolder } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from './parts/cli.ts'
import { type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { GUEST_ID, GUEST_NAME, startOneGuest, staticSource } from './parts/one-guest.ts'
import { MEMBER_TOKEN } from './parts/oriel.ts'

const qemu = requires('qemu')
const linux = requiresLinux()

describe.skipIf(qemu.skip || linux.skip)(`oriel at a screen${qemu.reason}${linux.reason}`, () => {
  const parts = new AsyncDisposableStack()
  let guest: LinuxGuest
  let folder: TemporaryFolder
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    folder = parts.use(await temporaryFolder())
    guest = parts.use(await startLinux({ name: GUEST_NAME, uuid: GUEST_ID, keymap: 'de-latin1' }))
    const source = staticSource({ vnc: { host: '127.0.0.1', port: guest.vncPort! } })
    const oriel = parts.use(await startOneGuest({ source, hypervisor: { identity: 'enforce' } }))
    env = { ORIEL_ENDPOINT: oriel.endpoint, ORIEL_TOKEN: MEMBER_TOKEN }
  })
  afterAll(() => parts.disposeAsync())

  const oriel = (...args: string[]) => runCli(args, { env })
  const file = (name: string) => join(folder.path, name)

  it('waits for the prompt of a machine that starts, and prints what it found', async () => {
    const waited = await oriel('wait', GUEST_NAME, '--text', '^guest(#) *$', '--json')
    const server = { id: GUEST_ID, name: GUEST_NAME }
    expect(waited).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(waited.stdout)).toEqual({ server, text: 'guest#', groups: ['#'] })
  })

  it('types on the layout of the guest, and reads the answer', async () => {
    const text = `echo "§ü{[]}\\@~|" $((6 * 7))`
    expect(await oriel('type', GUEST_NAME, text, '--layout', 'de', '--enter')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    })
    const answer = await oriel('wait', GUEST_NAME, '--text', '^.* 42$', '--timeout', '30')
    expect(answer).toEqual({ code: 0, stdout: '§ü{[]}\\@~| 42\n', stderr: '' })
  })

  it('types its input', async () => {
    const [command, sum] = ['printf yes | sha256sum | sed "s/ .*/>/;s/^/</"\n', createHash('sha256').update('yes')]
    expect(await runCli(['type', GUEST_NAME, '--layout', 'de'], { env, input: command })).toMatchObject({ code: 0 })
    const { stdout } = await oriel('wait', GUEST_NAME, '--text', '^<.*>$', '--timeout', '30')
    expect(stdout).toBe(`<${sum.digest('hex')}>\n`)
  })

  it('presses keys', async () => {
    await oriel('press', GUEST_NAME, 'Control+c')
    // It ends the guest's shell, which starts anew.
    const restarted = /\^C\s[\s\S]*guest#$/.source
    expect((await oriel('wait', GUEST_NAME, '--text', restarted, '--timeout', '30')).code).toBe(0)
  })

  it('writes the picture into a private file and a pipe, and prints its text', async () => {
    await guest.run('printf "\\033[?25l" >/dev/tty1')
    await oriel('wait', GUEST_NAME, '--still', '0.3')
    const { code, stdout } = await oriel('screenshot', GUEST_NAME, '-o', file('a.png'), '--text', '--json')
    const printed = JSON.parse(stdout)
    const { width, height, data } = decodePng(await readFile(file('a.png')))
    expect([code, printed.width, printed.height, printed.file]).toEqual([0, width, height, file('a.png')])
    expect(printed.text).toContain('guest#')
    expect((await stat(file('a.png'))).mode & 0o777).toBe(0o600)
    const screen = await guest.screendump()
    expect([width, height]).toEqual([screen.width, screen.height])
    expect(Buffer.compare(data, screen.data)).toBe(0)
    const text = await oriel('screenshot', GUEST_NAME, '--text')
    expect(text.stdout).toBe(`${printed.text}\n`)
  })

  it('ends with 3 and the text of the screen if the text does not come', async () => {
    const { code, stdout, stderr } = await oriel('wait', GUEST_NAME, '--text', 'panic', '--timeout', '0.5')
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toMatch(
      /^oriel: The screen did not show \/panic\/m within 500 ms\. On the screen is:\n[\s\S]*guest#/,
    )
  })

  it('runs a script, and keeps a typed password out of its output', async () => {
    const script = [
      '# signs in',
      'timeout 30',
      'layout de',
      'press Control+l',
      'wait guest#',
      'type read -s x; echo "got-$x"',
      'press Enter',
      'type-env SECRET',
      'type "\\n"',
      'wait got-geheim$',
      `screenshot ${file('b.png')}`,
    ]
    await writeFile(file('script'), script.join('\n'))
    const result = await runCli(['run', GUEST_NAME, file('script')], { env: { ...env, SECRET: 'geheim' } })
    expect(result).toMatchObject({ code: 0, stdout: '' })
    expect(result.stderr).toContain('oriel: line 6: type\noriel: line 7: press Enter\noriel: line 8: type-env SECRET\n')
    expect(result.stderr.replaceAll('got-geheim', '')).not.toContain('geheim')
    expect(decodePng(await readFile(file('b.png'))).width).toBe(720)
  })

  it('names the line at which a script fails', async () => {
    await writeFile(file('script'), 'timeout 0.3\n\nwait nothing of the kind\npress Enter')
    const { code, stderr } = await oriel('run', GUEST_NAME, file('script'), '--quiet')
    expect(code).toBe(3)
    expect(stderr).toMatch(/^oriel: line 3: The screen did not show \/nothing of the kind\/m within 300 ms/)
  })

  it.each([
    [['type', GUEST_NAME, 'a€b', '--layout', 'us'], 2, 'The keyboard layout us cannot type "€" (U+20AC)'],
    [['type', GUEST_NAME], 2, 'There is no text to type.'],
    [['type', GUEST_NAME, 'x', '--layout', 'qq'], 2, '--layout qq is not known; choose be,'],
    [['press', GUEST_NAME, 'Escpe'], 2, ''],
    [['wait', GUEST_NAME], 2, 'oriel wait needs either --text REGEX or --still SECONDS.'],
    [['wait', GUEST_NAME, '--text', '('], 2, '( is not a regular expression'],
    [['run', GUEST_NAME, '/nonexistent'], 2, '/nonexistent cannot be read'],
    [['screenshot', GUEST_NAME, '-o', '/nonexistent/a.png'], 2, '/nonexistent/a.png cannot be written'],
  ])('refuses %j with exit code %i', async (args, code, sentence) => {
    const result = await oriel(...args)
    expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(`oriel: ${sentence}`) })
  })
})
