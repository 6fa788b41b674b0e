/** The command lines of viewers, and the addresses that they connect to. */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { isLoopback, listenAddress } from '../src/viewer/listen-address.ts'
import { browserCommand, spiceCommand, vncCommand } from '../src/viewer/viewers.ts'

const address = { host: '127.0.0.1', port: 40_000 }

it.each([
  ['none', undefined],
  ['xtigervncviewer -Shared', ['xtigervncviewer', '-Shared', '127.0.0.1::40000']],
  ['/opt/gvncviewer', ['/opt/gvncviewer', '127.0.0.1:34100']],
  ['remote-viewer -f', ['remote-viewer', '-f', 'vnc://127.0.0.1:40000']],
  ['show --at={host} {port} {address}', ['show', '--at=127.0.0.1', '40000', '127.0.0.1::40000']],
])('builds the command line of --viewer "%s"', (wanted, command) => {
  expect(vncCommand(wanted, address, {})).toEqual(command)
})

it('takes the first known viewer on PATH, if there is a screen', async () => {
  await using folder = await temporaryFolder()
  const add = async (name: string, mode: number) => {
    await writeFile(join(folder.path, name), '')
    await chmod(join(folder.path, name), mode)
  }
  const env = { PATH: `/nonexistent::${folder.path}`, DISPLAY: ':9' }
  expect(vncCommand(undefined, address, env)).toBeUndefined()
  await mkdir(join(folder.path, 'vncviewer'))
  await add('xtigervncviewer', 0o644)
  await add('remote-viewer', 0o755)
  expect(vncCommand(undefined, address, env)).toEqual(['remote-viewer', 'vnc://127.0.0.1:40000'])
  await rm(join(folder.path, 'vncviewer'), { recursive: true })
  await add('vncviewer', 0o755)
  expect(vncCommand(undefined, address, env)).toEqual(['vncviewer', '127.0.0.1::40000'])
  expect(spiceCommand(undefined, 'x.vv', env)).toEqual(['remote-viewer', 'x.vv'])
  for (const find of [
    vncCommand(undefined, address, { PATH: env.PATH }),
    spiceCommand(undefined, 'x', { PATH: env.PATH }),
  ]) {
    expect(find).toBeUndefined()
  }
})

it.each([
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }, true],
  ['[::1]:5901', { host: '::1', port: 5901 }, true],
  ['localhost:5901', { host: 'localhost', port: 5901 }, true],
  ['0.0.0.0:5901', { host: '0.0.0.0', port: 5901 }, false],
  ['[::]:5901', { host: '::', port: 5901 }, false],
])('reads --listen %s', (text, read, loopback) => {
  expect(listenAddress(text)).toEqual(read)
  expect(isLoopback(read)).toBe(loopback)
})

it.each(['5901', '127.0.0.1', ':5901', '127.0.0.1:65536', '::1:5901', 'h:x'])('refuses --listen %s', (text) => {
  expect(() => listenAddress(text)).toThrow(`--listen ${text} is not HOST:PORT`)
})

it('takes a BROWSER of blanks for none', () => {
  expect(browserCommand({ BROWSER: 'firefox --new-window' })).toEqual(['firefox', '--new-window'])
  expect(browserCommand({ BROWSER: ' ', PATH: '' })).not.toEqual([])
})
