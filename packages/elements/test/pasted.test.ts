import { describe, expect, it } from 'vitest'
import { cleanPaste } from '../src/serial/pasted.ts'
import { pasteBytes } from '../src/serial/send-paste.ts'

describe('cleanPaste', () => {
  it('takes out C0, DEL and C1, and names each once', () => {
    const { text, removed } = cleanPaste('a\x1b[201~b\x1bc\x00d\x7fe\x9bf')
    expect(text).toBe('a[201~bcdef')
    expect(removed).toEqual(['ESC', 'NUL', 'DEL', 'U+009B'])
  })

  it('keeps tabs, and makes every line end a line feed', () => {
    expect(cleanPaste('a\tb\r\nc\rd\ne')).toEqual({ text: 'a\tb\nc\nd\ne', removed: [], lines: 4 })
  })

  it('keeps characters of other scripts and emoji', () => {
    expect(cleanPaste('Grüße 日本 👩‍💻').text).toBe('Grüße 日本 👩‍💻')
  })

  it('counts no further line after a line end at the end', () => {
    expect(cleanPaste('one\n').lines).toBe(1)
    expect(cleanPaste('one\ntwo\n').lines).toBe(2)
  })
})

describe('pasteBytes', () => {
  const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

  it('sends Enter for each line end', () => {
    expect(textOf(pasteBytes('a\nb\n', false))).toBe('a\rb\r')
  })

  it('marks a bracketed paste', () => {
    expect(textOf(pasteBytes('a\nb', true))).toBe('\x1b[200~a\rb\x1b[201~')
  })
})
