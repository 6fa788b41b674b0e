/** Addresses of consoles, and the sentences for their end. */
import { closeReasons, refusalClose } from '@oriel/contract'
import { expect, it } from 'vitest'
import { socketAddress } from '../src/console/address.ts'
import { meaningOf } from '../src/console/dial.ts'

it.each([
  ['http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc', 'ws://h:6080/?token=abc'],
  ['https://h/novnc/vnc_lite.html?path=%3Ftoken%3Dabc', 'wss://h/novnc/?token=abc'],
  ['https://h/c/vnc_auto.html?title=x&path=websockify%3Ftoken%3Dabc', 'wss://h/c/websockify?token=abc'],
  ['http://h/spice_auto.html?token=abc', 'ws://h/?token=abc'],
  ['wss://h/serial/?token=abc', 'wss://h/serial/?token=abc'],
  ['http://h/vnc.html?path=%2F%2Felsewhere%2F%3Ftoken%3Dabc', undefined],
  ['http://h/vnc.html?path=https%3A%2F%2Felsewhere%2F%3Ftoken%3Dabc', undefined],
  ['ftp://h/?token=abc', undefined],
  ['no address', undefined],
])('finds the WebSocket of %s', (url, address) => {
  expect(socketAddress(url)).toBe(address)
})

it('has a sentence for every close code, and calls only 1000 normal', () => {
  for (const { code, text } of Object.values(closeReasons)) {
    const meaning = meaningOf(code, text)
    expect(meaning.isNormal).toBe(code === 1000)
    if (code !== 1000) expect(meaning.text).toContain(text)
  }
})

it('reads a refusal, and says what to do', () => {
  const { code, reason } = refusalClose('unknown_token')
  expect(meaningOf(code, reason).text).toBe(
    'This console address is not valid or not valid any more. Ask for a new console. Run the command again.',
  )
  expect(meaningOf(1006, '').text).toBe('The connection to the console broke. Run the command again.')
})
