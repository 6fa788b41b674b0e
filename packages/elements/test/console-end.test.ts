import { closeReasons, type RefusalDetail, type RefusalName, refusal, refusalClose, refusals } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import {
  adviceOf,
  type ConsoleEnd,
  describeEnd,
  finalWords,
  localEnd,
  localEnds,
  mayTakeOver,
  reasonOf,
  waitingWords,
} from '../src/console-end.ts'
import { plainLine } from '../src/plain-line.ts'

const closed = (code: number, reason = '', opened = true) =>
  describeEnd({ code, reason, wasClean: code !== 1006, opened })

describe('describeEnd', () => {
  it.each(Object.entries(closeReasons).filter(([name]) => name !== 'client_closed'))(
    'says %s in its own words',
    (_, reason) => {
      expect(closed(reason.code, reason.text)).toEqual({ ...reason, clean: true })
    },
  )

  it('takes the text from the catalogue if the server sends only the code', () => {
    expect(closed(4004)).toMatchObject({ text: closeReasons.idle.text, remedy: 'reconnect' })
  })

  it('does not report a close by the server as one by the user', () => {
    expect(closed(1000)).toMatchObject({ text: closeReasons.console_closed.text, remedy: 'reconnect' })
    expect(closed(1005)).toMatchObject({ text: closeReasons.console_closed.text, remedy: 'reconnect' })
  })

  it('names the viewer who took the console over', () => {
    const { code, text } = closeReasons.taken_over
    const end = closed(code, 'Bea\u202e took this console over.')
    expect(end).toMatchObject({ text: 'Bea took this console over.', remedy: 'none' })
    expect(finalWords(end)).toEqual({ text: end.text, advice: 'You can take it back.' })
    expect(closed(code).text).toBe(text)
  })

  it('names the viewer who has the console, if the refusal does', () => {
    const { code, reason } = refusalClose('in_use', { by: 'Bea\u202e <b>' })
    const end = describeEnd({ code, reason, wasClean: true, opened: false })
    expect(end).toMatchObject({ refusal: 'in_use', remedy: 'none' })
    const advice = 'Take it over, or try again once it is free.'
    expect(finalWords(end)).toEqual({ text: 'Bea <b> has this console.', advice })
  })

  it('offers a take-over to a viewer whose console is in use or was taken over, but not to a watcher', () => {
    const refused = (detail: RefusalDetail) => {
      const { code, reason } = refusalClose('in_use', detail)
      return describeEnd({ code, reason, wasClean: true, opened: false })
    }
    expect(mayTakeOver(refused({}))).toBe(true)
    expect(mayTakeOver(closed(closeReasons.taken_over.code))).toBe(true)
    expect(mayTakeOver(closed(closeReasons.idle.code))).toBe(false)
    const watching = refused({ by: 'Bea', watches: true })
    expect(mayTakeOver(watching)).toBe(false)
    expect(finalWords(watching)).toEqual({ text: 'Bea has this console.', advice: 'Try again once it is free.' })
  })

  it('uses the text of another server as one plain line', () => {
    expect(closed(4999, 'Gone\u0000 for\n<b>lunch</b>\u202e').text).toBe('Gone for <b>lunch</b>')
  })

  it('describes a connection without a close frame as broken', () => {
    expect(closed(1006)).toEqual({
      code: 1006,
      text: 'The connection to the console was lost.',
      remedy: 'reconnect',
      clean: false,
    })
  })

  it('advises a new console for every close code if the address did not open', () => {
    expect(closed(1006, '', false).remedy).toBe('new-console')
    expect(closed(1006, '', false).text).toContain('the address has expired')
  })

  it.each(Object.keys(refusals) as RefusalName[])('returns the text and the remedy of the refusal %s', (name) => {
    const { code, reason } = refusalClose(name)
    const { text, remedy } = refusal(name)
    expect(closed(code, reason, false)).toMatchObject({ code, text, remedy, refusal: name, clean: true })
  })

  it('removes control characters from a refusal of a hostile server', () => {
    expect(closed(4403, 'unknown_token: \u202e<b>\u0000Gone.', false).text).toBe('<b> Gone.')
    expect(closed(4403, 'unknown_token: ', false).text).toContain('did not open')
  })
})

describe('the text of a card', () => {
  const refused = (name: RefusalName, allow?: string): ConsoleEnd => {
    const { code, reason } = refusalClose(name, { allow })
    return closed(code, reason, false)
  }

  it('contains the reason, and then the advice', () => {
    expect(finalWords(refused('console_unreachable'))).toEqual({
      text: 'The console of this machine cannot be reached.',
      advice: 'Is the machine running?',
    })
    expect(finalWords(refused('too_many'))).toEqual({
      text: 'Too many consoles are open.',
      advice: 'Close one and try again.',
    })
    expect(finalWords(refused('security_failed')).advice).toBe('')
  })

  it('advises where to get a new console if the address is no longer usable', () => {
    for (const name of ['unknown_token', 'console_moved', 'missing_token', 'wrong_console_type'] as const)
      expect(finalWords(refused(name)).advice).toBe(adviceOf('new-console'))
    expect(finalWords(refused('unknown_token')).text).toBe('This console address is not valid or not valid any more.')
  })

  it('names the origin that the operator has to allow', () => {
    const words = finalWords(refused('foreign_origin', 'https://portal.example'))
    expect(words.text).toBe('This page may not open consoles here.')
    expect(words.code).toBe('origin.allowed = ["https://portal.example"]')
    expect(finalWords(refused('foreign_origin')).advice).toBe('')
  })

  it('announces another attempt, and advises to check that the machine runs', () => {
    expect(waitingWords(refused('authority_unavailable'), false)).toEqual({
      text: 'The service that knows this console does not answer.',
      advice: 'Trying again…',
    })
    expect(waitingWords(refused('console_unreachable'), true).advice).toBe('Is the machine running? Reconnecting…')
  })

  it('says of a machine that is switched off when the console opens again, whether it was open or not', () => {
    const words = { text: 'The machine is switched off.', advice: 'The console opens again once it is on.' }
    expect(waitingWords(refused('switched_off'), false)).toEqual(words)
    expect(waitingWords(closed(closeReasons.switched_off.code), true)).toEqual(words)
  })

  it('keeps the text of an end that is not a refusal in one piece', () => {
    const end = closed(1011)
    expect(finalWords(end)).toEqual({ text: closeReasons.proxy_error.text, advice: adviceOf('reconnect') })
  })
})

it('adviceOf returns a text for every remedy except for none', () => {
  expect(adviceOf('none')).toBe('')
  expect(adviceOf('reconnect')).not.toBe('')
  expect(adviceOf('new-console')).not.toBe('')
})

describe('plainLine', () => {
  it('keeps letters of any script', () => {
    expect(plainLine('  Größe 機械 😀 ')).toBe('Größe 機械 😀')
  })

  it('removes control and direction-changing characters', () => {
    expect(plainLine('a\u001b]0;title\u0007b\u2028c\u2066d')).toBe('a ]0;title b c d')
  })

  it('cuts long lines', () => {
    expect(plainLine('x'.repeat(500))).toBe(`${'x'.repeat(199)}…`)
  })
})

describe('reasonOf', () => {
  it.each(Object.entries(closeReasons))('names the close reason %s', (name, { code, text }) => {
    expect(reasonOf({ code, text, remedy: 'none', clean: true })).toBe(name)
  })

  it.each(Object.keys(refusals) as RefusalName[])('names the refusal %s', (name) => {
    const { code, reason } = refusalClose(name)
    expect(reasonOf(closed(code, reason, false))).toBe(name)
  })

  it.each(Object.keys(localEnds) as (keyof typeof localEnds)[])('names the end %s that the page detects', (name) => {
    // The proxy has a name for the same.
    expect(reasonOf(localEnd(name))).toBe(name === 'link_silent' ? 'client_lost' : name)
  })

  it('names the taking over by the code, because the text has a person', () => {
    expect(reasonOf(closed(closeReasons.taken_over.code, 'Bea took this console over.'))).toBe('taken_over')
  })

  it('does not name an end by another server', () => {
    expect(reasonOf(closed(3000, 'Goodbye'))).toBe('closed')
  })
})
