import { SettingsError } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { consoleAddress } from '../src/connection/address.ts'

it('finds the WebSocket of an access URL', () => {
  expect(consoleAddress('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc').href).toBe('ws://h:6080/?token=abc')
})

it.each([
  ['a relative address', '/vnc.html?token=secret', 'The URL of the console is malformed'],
  [
    'a path of another host',
    'https://h/?path=//evil/%3Ftoken%3Dsecret',
    'The path parameter of the URL leads to another',
  ],
  ['a scheme that is not of the web', 'spice://h/?token=secret', 'A console cannot be opened over spice:'],
])('refuses %s, and does not repeat its token', (_, url, message) => {
  expect(() => consoleAddress(url)).toThrow(SettingsError)
  expect(() => consoleAddress(url)).toThrow(message)
  expect(() => consoleAddress(url)).not.toThrow(/secret/)
})
