/** Types on keyboard layouts into a real Linux whose QEMU waits after no key, and compares what arrives. */
import { loadLayout } from '@oriel/console'
import { requires } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { charactersOf } from './parts/layout-characters.ts'
import { requiresLinux } from './parts/linux-guest.ts'
import { ascii, linesOf, sha256, startTypingGuest, type TypingGuest, typed, xkbLayouts } from './parts/typing-guest.ts'

const qemu = requires('qemu')
const linux = requiresLinux()

const FILE_CHARACTERS = 5_000
const FILE_TIMEOUT_MS = 200_000

describe.skipIf(qemu.skip || linux.skip)(`typing fast at a Linux console${qemu.reason}${linux.reason}`, () => {
  let machine: TypingGuest

  beforeAll(async () => {
    machine = await startTypingGuest({ keyDelayMs: 0 })
  })
  afterAll(() => machine?.[Symbol.asyncDispose]())

  it.each(xkbLayouts)('types every character of %s, dead keys included, into a guest set up from xkb', async (name) => {
    const text = charactersOf(await loadLayout(name))
    expect(await typed(machine, `xkb-${name}`, text, name)).toBe(text)
  })

  it('types a file of 5,000 characters whole', { timeout: FILE_TIMEOUT_MS }, async () => {
    const text = linesOf(
      ascii.filter((character) => !'^`\\'.includes(character)),
      FILE_CHARACTERS,
    )
    const arrived = await typed(machine, 'de', text, 'de')
    expect(sha256(arrived)).toBe(sha256(text))
  })
})
