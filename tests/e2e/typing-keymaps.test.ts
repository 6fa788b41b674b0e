/** Types on keyboard layouts into a real Linux whose QEMU waits after each key as it does by default, and compares what arrives. */
import { loadLayout } from '@oriel/console'
import { requires } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { charactersOf } from './parts/layout-characters.ts'
import { requiresLinux } from './parts/linux-guest.ts'
import { ascii, startTypingGuest, type TypingGuest, typed } from './parts/typing-guest.ts'

const qemu = requires('qemu')
const linux = requiresLinux()

describe.skipIf(qemu.skip || linux.skip)(`typing at a Linux console${qemu.reason}${linux.reason}`, () => {
  let machine: TypingGuest

  beforeAll(async () => {
    machine = await startTypingGuest()
  })
  afterAll(() => machine?.[Symbol.asyncDispose]())

  it.each([
    ['de', 'loadkeys-de'],
    ['fr', 'loadkeys-fr'],
    ['jp106', 'loadkeys-jp106'],
    ['es', 'loadkeys-es'],
    ['uk', 'loadkeys-uk'],
  ])('types every character of `loadkeys %s` with the layout %s', async (keymap, name) => {
    const text = charactersOf(await loadLayout(name))
    expect(await typed(machine, keymap, text, name)).toBe(text)
  })

  it.each([
    // These are dead keys or elsewhere on xkb's layout, see the README.
    ['de', 'de', '^`\\'],
    ['fr', 'fr', ''],
    ['jp106', 'jp', ''],
    ['uk', 'gb', ''],
  ])(
    'types ASCII into a guest with `loadkeys %s` with the layout %s, except for %s',
    async (keymap, layout, except) => {
      const text = ascii.filter((character) => !except.includes(character)).join('')
      expect(await typed(machine, keymap, text, layout)).toBe(text)
    },
  )
})
