import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connectPeer, requires, temporaryFolder } from '@oriel/testkit'
import { describe, expect, test, vi } from 'vitest'
import { startQemuGuest } from '../src/qemu.ts'

const identity = { name: 'qemu', uuid: '5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0002' }

test('startQemuGuest returns undefined if QEMU is not installed', async () => {
  expect(await startQemuGuest({ ...identity, program: 'no-such-qemu' })).toBeUndefined()
})

test.each([
  ['ends at once', 'exit 3', '(3)'],
  ['misses the deadline', 'exec sleep 60', '(SIGKILL)'],
  ['answers with an error', `echo '{"id":"query-vnc","error":{"desc":"off"}}'; exec sleep 60`, '(SIGTERM)'],
])('startQemuGuest rejects with the stderr of a QEMU that %s', async (_, act, end) => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'qemu')
  await writeFile(program, `#!/bin/sh\necho no accelerator >&2\n${act}\n`, { mode: 0o755 })
  await expect(startQemuGuest({ ...identity, program, timeoutMs: 1000 })).rejects.toThrow(`${end}: no accelerator`)
})

const monitor = `
echo '{"QMP":{}}'
echo '{"event":"RESUME"}'
echo '{"id":"qmp_capabilities","return":{}}'
echo '{"id":"query-vnc","return":{"service":"5907"}}'
echo '{"id":"query-chardev","return":[{"label":"serial0","filename":"disconnected:tcp:127.0.0.1:4001,server=on"}]}'
exec cat >/dev/null
`

test('startQemuGuest takes the ports from the monitor', async () => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'qemu')
  await writeFile(program, `#!/bin/sh${monitor}`, { mode: 0o755 })
  await using guest = await startQemuGuest({ ...identity, program })
  expect(guest).toMatchObject({ host: '127.0.0.1', vncPort: 5907, serialPort: 4001 })
})

const module = new URL('../src/qemu.ts', import.meta.url).href

test('startQemuGuest has its QEMU end with a process that is killed', async () => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'qemu')
  await writeFile(program, `#!/bin/sh${monitor.replace('cat >/dev/null', 'sleep 60')}`, { mode: 0o755 })
  const options = JSON.stringify({ ...identity, program })
  const start = `const { startQemuGuest } = await import(${JSON.stringify(module)}); await startQemuGuest(${options})`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', `${start}; console.log('started')`])
  await once(parent.stdout, 'data')
  const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'latin1').trim().split(' ')
  const qemu = children.find((pid) => commandLine(pid).startsWith('sleep'))!
  parent.kill('SIGKILL')
  await vi.waitFor(() => expect(commandLine(qemu)).toBe(''), 10_000)
})

/** Empty for a process that has ended. */
const commandLine = (pid: string) => (existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'latin1') : '')

const { skip, reason } = requires('qemu')

describe.skipIf(skip)(`a QEMU guest${reason}`, () => {
  test('serves VNC and its serial port until it is disposed', async () => {
    const guest = (await startQemuGuest(identity))!
    {
      using vnc = await connectPeer({ host: guest.host, port: guest.vncPort })
      await vnc.expect(Buffer.from('RFB 003.008\n'))
      using serial = await connectPeer({ host: guest.host, port: guest.serialPort })
      await serial.read(1)
    }
    await guest[Symbol.asyncDispose]()
    await expect(connectPeer({ host: guest.host, port: guest.vncPort })).rejects.toThrow('ECONNREFUSED')
  })
})
