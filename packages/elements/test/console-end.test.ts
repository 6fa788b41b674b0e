import { closeReasons } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { advice, describeEnd, plainLine } from '../src/console-end.ts'

const closed = (code: number, reason = '', opened = true) =>
  describeEnd({ code, reason, wasClean: code !== 1006, opened })

describe('describeEnd', () => {
  it.each(Object.entries(closeReasons).filter(([name]) => name !== 'client_closed'))(
    'says %s in its own words',
    (_, reason) => {
      expect(closed(reason.code, reason.text)).toEqual({ ...reason, clean: true })
    },
  )

  it('takes the sentence from the catalogue when the server sends only the code', () => {
    expect(closed(4004)).toMatchObject({ text: closeReasons.idle.text, remedy: 'reconnect' })
  })

  it('does not tell the person that they closed it when the server did', () => {
    expect(closed(1000)).toMatchObject({ text: closeReasons.console_closed.text, remedy: 'reconnect' })
    expect(closed(1005)).toMatchObject({ text: closeReasons.console_closed.text, remedy: 'reconnect' })
  })

  it('passes on what another server says, as one plain line', () => {
    expect(closed(4999, 'Gone\u0000 for\n<b>lunch</b>\u202e').text).toBe('Gone for <b>lunch</b>')
  })

  it('calls a connection without a goodbye broken', () => {
    expect(closed(1006)).toEqual({
      code: 1006,
      text: 'The connection to the console broke.',
      remedy: 'reconnect',
      clean: false,
    })
  })

  it('asks for a new console when the address did not open, whatever the code', () => {
    expect(closed(1006, '', false).remedy).toBe('new-console')
    expect(closed(1006, '', false).text).toContain('may have expired')
  })
})

it('gives advice for every remedy but none', () => {
  expect(advice.none).toBe('')
  expect(advice.reconnect).not.toBe('')
  expect(advice['new-console']).not.toBe('')
})

describe('plainLine', () => {
  it('keeps letters of any script', () => {
    expect(plainLine('  Größe 機械 😀 ')).toBe('Größe 機械 😀')
  })

  it('takes out what could disturb the page', () => {
    expect(plainLine('a\u001b]0;title\u0007b\u2028c\u2066d')).toBe('a ]0;title b c d')
  })

  it('cuts long lines', () => {
    expect(plainLine('x'.repeat(500))).toBe(`${'x'.repeat(199)}…`)
  })
})
