/** The guest of other tests works: its keymaps, its commands, and its start through GRUB. */
import { requires } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { requiresLinux, startLinux } from './parts/linux-guest.ts'

const qemu = requires('qemu')
const linux = requiresLinux()

describe.skipIf(qemu.skip || linux.skip)(`the Linux test guest${qemu.reason}${linux.reason}`, () => {
  it('records typed characters in the given keymap, dead keys included', async () => {
    await using guest = await startLinux({ keymap: 'de-latin1', tty1: 'record', vnc: false })
    await guest.run('true')
    for (const keys of [['y'], ['shift', '7'], ['alt_r', 'q'], ['equal'], ['e']]) await guest.sendKey(...keys)
    // `é` has two bytes.
    expect(await guest.run('until [ $(wc -c </tmp/typed) = 5 ]; do sleep 0.1; done; cat /tmp/typed')).toBe('z/@é')
  })

  it('names the status and the output of a command that fails', async () => {
    await using guest = await startLinux({ vnc: false })
    await expect(guest.run('echo no; exit 3')).rejects.toThrow('status 3: no')
    expect(await guest.run('echo yes')).toBe('yes\n')
  })

  it('starts by GRUB with a graphical menu', async () => {
    await using guest = await startLinux({ boot: 'grub-graphics', vnc: false })
    expect(await guest.run('stty -F /dev/tty1 size')).toBe('48 128\n')
  })
})
