/** The built command `oriel`: its start, its sign-in, its exit codes, and an unmodified Nova. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type NovaStub, type Requirement, requirement, startNovaStub, temporaryFolder } from '@oriel/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cliFile, runCli, startInTerminal } from './parts/cli.ts'

const TOKEN = 'token-of-the-command'
const [WEB, TWIN, OTHER_TWIN, SPACED] = ['1', '2', '3', '4'].map((n) => `52b2e44e-e561-464c-88f3-2fc6a1ecea2${n}`) as [
  string,
  string,
  string,
  string,
]
const [fish, zsh] = ['fish', 'zsh'].map((shell) =>
  requirement(shell, existsSync(`/usr/bin/${shell}`), 'run tests/install-debian-packages'),
) as [Requirement, Requirement]

describe('the command oriel with an unmodified Nova', () => {
  const parts = new AsyncDisposableStack()
  let nova: NovaStub
  let env: NodeJS.ProcessEnv

  beforeAll(async () => {
    const consoles = { novnc: { host: '127.0.0.1', port: 1 }, serial: { host: '127.0.0.1', port: 2 } }
    const servers = {
      [WEB]: { name: 'web-1', consoles },
      [TWIN]: { name: 'twin' },
      [OTHER_TWIN]: { name: 'twin', consoles: { novnc: 409 } },
      [SPACED]: { name: 'data base' },
    } as const
    nova = parts.use(await startNovaStub({ tokens: {}, servers, adminToken: TOKEN, memberToken: 'member' }))
    env = { ORIEL_ENDPOINT: nova.url, ORIEL_TOKEN: TOKEN }
  })
  afterEach(() => nova.behave('answer'))
  afterAll(() => parts.disposeAsync())

  const oriel = (...args: string[]) => runCli(args, { env })

  it('lists servers, as a table and as JSON', async () => {
    expect((await oriel('servers')).stdout.split('\n')[1]).toMatch(new RegExp(`^${WEB} {2}web-1 +ACTIVE$`))
    const { stdout, stderr } = await oriel('servers', '--consoles', '--json')
    const { servers } = JSON.parse(stdout)
    expect(servers[0]).toEqual({ id: WEB, name: 'web-1', status: 'ACTIVE', consoles: ['novnc', 'serial'] })
    expect(stderr).toBe('oriel: asking 4 servers for their consoles\n')
  })

  it('creates a console by name and by id', async () => {
    const byName = await oriel('url', 'web-1')
    expect(byName).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^http:.*path=%3Ftoken%3D/) })
    const { stdout } = await oriel('url', WEB, '--type', 'serial', '--json')
    const server = { id: WEB, name: 'web-1' }
    expect(JSON.parse(stdout)).toMatchObject({ server, protocol: 'serial', type: 'serial', expires_at: null })
  })

  it.each([
    [['url', 'web'], 4, 'There is no server web in this project. Did you mean web-1?'],
    [
      ['url', 'twin'],
      4,
      `2 servers are named twin. Give one of these ids:\n  ${TWIN}  ACTIVE\n  ${OTHER_TWIN}  ACTIVE`,
    ],
    [['url', 'web-1', '--type', 'webmks'], 1, 'web-1 has no console of type webmks (WebMKS)'],
    [['url', OTHER_TWIN], 1, 'twin has no console now: it is ACTIVE.'],
    [['sessions'], 1, "This API has no list of sessions: Oriel's API has one, Nova has none."],
    [['sessions', 'end', 'x'], 1, 'This API has no list of sessions'],
    [['sessions', 'end'], 2, 'Write oriel sessions list, or oriel sessions end ID.'],
    [['url'], 2, 'oriel url needs SERVER.'],
    [['url', 'a', 'b'], 2, '"b" is one argument too many.'],
    [['serail', 'a'], 2, 'There is no command serail. Did you mean serial?'],
    [['servers', '--timeout', 'soon'], 2, '--timeout soon is not a number of seconds'],
    [['--endpoint', 'h:1', 'servers'], 2, 'The endpoint is not an http(s) address'],
    [['--os-cloud', 'prod', 'servers'], 2, 'There is no clouds.yaml in'],
    [['vnc', 'web-1', '--listen', '5901'], 2, '--listen 5901 is not HOST:PORT'],
    [['spice', 'web-1'], 2, 'There is no remote-viewer, or no screen for it.'],
    [['serial', 'web-1', '--log', '/nonexistent/log'], 2, '/nonexistent/log cannot be written'],
    [[], 2, 'which command? servers, url,'],
  ])('reports oriel %j in one sentence with exit code %i', async (args, code, sentence) => {
    const result = await oriel(...args)
    expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(`oriel: ${sentence}`) })
    expect(result.stderr).not.toMatch(/ {4}at |token-of|token=|%3D/)
  })

  it('prints an error as JSON with --json', async () => {
    const { code, stderr } = await oriel('url', 'web', '--json')
    expect(JSON.parse(stderr)).toEqual({
      error: { message: 'There is no server web in this project. Did you mean web-1?', exit_code: 4 },
    })
    expect(code).toBe(4)
  })

  it('ends with 5 for refused credentials, and does not print them', async () => {
    const wrong = await runCli(['servers'], { env: { ...env, ORIEL_TOKEN: 'wrong-token' } })
    expect(wrong).toMatchObject({ code: 5, stderr: expect.stringContaining('Sign in again') })
    const member = await runCli(['url', 'web-1', '--token', 'member'], { env })
    expect(member).toMatchObject({ code: 5, stderr: expect.stringContaining('Ask for a role') })
    expect(wrong.stderr + member.stderr).not.toMatch(/wrong-token/)
  })

  it('ends with 3 if the API does not answer in time', async () => {
    nova.behave('hang')
    const result = await oriel('servers', '--timeout', '0.5')
    expect(result).toMatchObject({ code: 3, stderr: expect.stringContaining('raise --timeout') })
  })

  it('names what to do if nothing says where to sign in', async () => {
    const result = await runCli(['servers'])
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('name a cloud with --os-cloud') })
  })

  it('signs in with clouds.yaml and with OS_* variables', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'clouds.yaml')
    const auth = `{ endpoint: '${nova.url}', token: ${TOKEN} }`
    await writeFile(file, `clouds: { prod: { auth_type: admin_token, auth: ${auth} } }`)
    const byFile = await runCli(['--os-cloud', 'prod', 'servers'], { env: { OS_CLIENT_CONFIG_FILE: file } })
    expect(byFile.stdout).toContain('web-1')
    const variables = { OS_AUTH_TYPE: 'admin_token', OS_ENDPOINT: nova.url, OS_TOKEN: TOKEN }
    expect((await runCli(['servers'], { env: variables })).stdout).toContain('web-1')
  })

  it('prints the address if there is no browser, and leads a browser there without showing it the token', async () => {
    expect(await oriel('open', 'web-1')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('http://127.0.0.1:6080/'),
    })
    await using folder = await temporaryFolder()
    const [browser, seen] = [join(folder.path, 'browser.mjs'), join(folder.path, 'seen')]
    const visit = `const get = () => fetch(process.argv[2], { redirect: 'manual' })
      const { headers } = await get()
      const { status } = await get().catch(() => ({ status: 'closed' }))
      fs.writeFileSync('${seen}', [process.argv[2], headers.get('location'), status].join(' '))`
    await writeFile(browser, `import fs from 'node:fs'\n${visit}`)
    const command = { ...env, BROWSER: `${process.execPath} ${browser}` }
    expect(await runCli(['open', 'web-1'], { env: command })).toMatchObject({ code: 0, stdout: '' })
    await expect
      .poll(async () => (await promisify(execFile)('cat', [seen]).catch(() => ({ stdout: '' }))).stdout)
      .toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32} http:\/\/127\.0\.0\.1:6080\/\S*token%3D\S+ (404|closed)$/)
  })

  describe('the completion of', () => {
    let HOME: string
    let PATH: string

    beforeAll(async () => {
      const folder = parts.use(await temporaryFolder())
      await symlink(cliFile, join(folder.path, 'oriel'))
      // fish creates its folders there, even if the path is /nonexistent and the user is root.
      HOME = folder.path
      PATH = `${folder.path}:${join(process.execPath, '..')}:${process.env.PATH}`
    })

    it('bash offers commands and names of servers', async () => {
      const complete = (...words: string[]) => {
        const typed = `COMP_WORDS=(oriel ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`
        const script = `source <(oriel completion bash); ${typed}; _oriel; printf '%s\\n' "\${COMPREPLY[@]}"`
        return linesOf('bash', ['--norc', '-c', script], { ...process.env, ...env, PATH })
      }
      expect(await complete('ser')).toEqual(['servers', 'serial'])
      expect(await complete('serial', 'w')).toEqual(['web-1'])
      // The name of the twins is ambiguous.
      expect(await complete('vnc', '')).toEqual(['web-1', TWIN, OTHER_TWIN, 'data\\ base'])
      expect(await complete('url', 'web-1', '--type', 'sp')).toEqual(['spice-html5', 'spice-direct'])
    })

    it.skipIf(fish.skip)(`fish offers commands, names of servers, and files for a log${fish.reason}`, async () => {
      const complete = (line: string) => {
        const script = `oriel completion fish | source; complete --do-complete '${line}'`
        return linesOf('fish', ['--no-config', '-c', script], { ...process.env, ...env, PATH, HOME })
      }
      expect((await complete('oriel ser')).toSorted()).toEqual(['serial', 'servers'])
      expect(await complete('oriel serial w')).toEqual(['web-1'])
      expect((await complete('oriel vnc ')).toSorted()).toEqual([TWIN, OTHER_TWIN, 'data base', 'web-1'])
      expect((await complete('oriel url web-1 --type sp')).toSorted()).toEqual(['spice-direct', 'spice-html5'])
      expect(await complete('oriel serial web-1 --log /etc/host')).toContain('/etc/hosts')
    })

    it.skipIf(zsh.skip)(`zsh inserts commands, names of servers, and files for a log${zsh.reason}`, async () => {
      await using shell = startInTerminal('exec zsh -f', { ...env, PATH, PS1: '> ' })
      shell.type(
        'autoload -Uz compinit; compinit -D -u; bindkey -e; source <(oriel completion zsh); print -r is"" ready\r',
      )
      await shell.prints(/^is ready/m)
      const complete = async (line: string, completed: RegExp) => {
        // Home, and a command that prints the rest of the line.
        shell.type(`${line}\t\u0001print -r -- \r`)
        await shell.prints(completed)
      }
      await complete('oriel scr', /^oriel screenshot/m)
      await complete('oriel serial w', /^oriel serial web-1/m)
      await complete('oriel vnc d', /^oriel vnc data base/m)
      await complete('oriel url web-1 --type spice-h', /^oriel url web-1 --type spice-html5/m)
      await complete('oriel serial web-1 --log /etc/hostn', /^oriel serial web-1 --log \/etc\/hostname/m)
    })
  })
})

describe('the file of the command oriel', () => {
  it('prints its version in less than five times the start of Node', () => {
    const [node, command] = [
      { args: ['-e', ''], fastest: Infinity },
      { args: [cliFile, '--version'], fastest: Infinity },
    ]
    // Other processes take the processor: the fastest of several starts is a program's own time.
    for (let i = 0; i < 20; i++) {
      for (const program of [node, command]) {
        const start = performance.now()
        const { status } = spawnSync(process.execPath, program.args)
        program.fastest = Math.min(program.fastest, performance.now() - start)
        expect(status).toBe(0)
      }
      if (i >= 4 && command.fastest < 5 * node.fastest) break
    }
    expect(command.fastest / node.fastest).toBeLessThan(5)
  })

  it('prints its version', () => {
    const { stdout } = spawnSync(process.execPath, [cliFile, '--version'], { encoding: 'utf8' })
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('has the size that the README states', () => {
    expect(statSync(cliFile).size).toBeLessThan(2_000_000)
  })

  it('names the Node that it needs on an older one', () => {
    const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.0" } })'
    const preload = `data:text/javascript,${encodeURIComponent(older)}`
    const { status, stderr } = spawnSync(process.execPath, ['--import', preload, cliFile, 'servers'], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([2, expect.stringContaining('oriel needs Node 22 or newer')])
  })

  it('ends quietly if the reader of its output has gone', () => {
    const line = `${process.execPath} ${cliFile} --help | head -c 1; echo " \${PIPESTATUS[0]}"`
    expect(spawnSync('bash', ['-c', line], { encoding: 'utf8' })).toMatchObject({ stdout: 'o 0\n', stderr: '' })
  })
})

async function linesOf(shell: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  const { stdout } = await promisify(execFile)(shell, args, { env })
  return stdout.split('\n').filter(Boolean)
}
