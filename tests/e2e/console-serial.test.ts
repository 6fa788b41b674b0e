/** `openSerial` of @oriel/console with a real Linux on a real serial port, through the proxy. */
import { openSerial } from '@oriel/console'
import { requires } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { requiresLinux, startLinux } from './parts/linux-guest.ts'
import { GUEST_ID, startOneGuest, staticSource } from './parts/one-guest.ts'

const LINES = 5000

const qemu = requires('qemu')
const linux = requiresLinux()

describe.skipIf(qemu.skip || linux.skip)(`a serial console in code${qemu.reason}${linux.reason}`, () => {
  it('runs commands in a guest and misses nothing of their output', async () => {
    await using guest = await startLinux({ serial: true, vnc: false })
    const serialConsole = { host: '127.0.0.1', port: guest.serialPort! }
    await using oriel = await startOneGuest({ source: staticSource({ serial: serialConsole }), hypervisor: {} })
    await using serial = await openSerial(oriel.client, GUEST_ID)
    // What is typed before the shell reads is lost.
    await serial.expect('guest# ', { timeoutMs: 60_000 })
    await serial.sendLine('echo $((6 * 7))')
    await serial.expect(/^42$/m)
    await serial.sendLine(`seq 1 ${LINES}; echo done`)
    const { before } = await serial.expect(/^done$/m, { timeoutMs: 60_000 })
    const numbers = before.split('\n').filter((line) => /^\d+$/.test(line))
    expect(numbers).toEqual(Array.from({ length: LINES }, (_, index) => String(index + 1)))
  })
})
