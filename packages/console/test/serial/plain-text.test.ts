import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PlainText } from '../../src/serial/plain-text.ts'

const textOf = (...pieces: readonly (string | Uint8Array)[]) => {
  const plain = new PlainText()
  return pieces.map((piece) => plain.push(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece)).join('')
}

describe('PlainText', () => {
  it.each([
    ['a line ending', 'one\r\ntwo\r\n', 'one\ntwo\n'],
    ['a doubled carriage return', 'one\r\r\ntwo', 'one\ntwo'],
    ['a carriage return that starts a line anew', '10%\r20%', '10%\r20%'],
    ['colours', '\u001b[0;1;31mfailed\u001b[0m', 'failed'],
    ['a private mode', '\u001b[?25hshell$ ', 'shell$ '],
    ['a window title that ends with BEL', '\u001b]0;root@host\u0007$ ', '$ '],
    ['a window title that ends with ST', '\u001b]0;root@host\u001b\\$ ', '$ '],
    ['a character set', '\u001b(Bx', 'x'],
    ['a saved cursor', '\u001b7x\u001b8', 'x'],
    ['a C1 control', '\u009b1mbold', 'bold'],
    ['a cancelled sequence', '\u001b[12\u0018x', 'x'],
    ['BEL, NUL and DEL', 'a\u0007b\u0000c\u007f', 'abc'],
    ['backspaces and tabs, which stay', 'a\b\tb', 'a\b\tb'],
    ['a sequence that starts another', '\u001b\u001b[1mx', 'x'],
  ])('reduces %s to text', (_, output, text) => {
    expect(textOf(output)).toBe(text)
  })

  it('decodes a character that two pieces share', () => {
    const [first, ...rest] = new TextEncoder().encode('ü')
    expect(textOf(Uint8Array.of(first!), Uint8Array.from(rest))).toBe('ü')
  })

  it('shows a byte that is not UTF-8 as U+FFFD', () => {
    expect(textOf(Uint8Array.of(0x41, 0xff, 0x42))).toBe('A\ufffdB')
  })

  it('goes on after a sequence that never ends', () => {
    expect(textOf(`\u001b]${'x'.repeat(10_000)}`)).toHaveLength(10_000 - 4096)
  })

  it('gives the same text for all pieces of the same output', () => {
    const parts = fc.array(
      fc.constantFrom('a', 'é', '\r', '\n', '\u001b', '[', ']', '(', '1', ';', 'm', '\\', '\u0007'),
    )
    fc.assert(
      fc.property(parts, fc.nat(), (written, cut) => {
        const bytes = new TextEncoder().encode(written.join(''))
        const at = cut % (bytes.length + 1)
        expect(textOf(bytes.subarray(0, at), bytes.subarray(at))).toBe(textOf(bytes))
      }),
    )
  })
})
