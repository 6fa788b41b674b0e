import { SettingsError } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { socketAddress } from '../src/connection/address.ts'

it.each([
  ['http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc', 'ws://h:6080/?token=abc'],
  ['https://h/console/vnc.html?token=abc', 'wss://h/console/?token=abc'],
  ['https://h/novnc/vnc_auto.html?token=abc&path=websockify', 'wss://h/novnc/websockify?token=abc'],
  ['https://h/vnc.html?path=websockify%3Ftoken%3Dabc&token=other', 'wss://h/websockify?token=abc'],
  ['https://h/vnc.html?path=/other%3Ftoken%3Dabc', 'wss://h/other?token=abc'],
  ['http://h/vnc.html?host=evil&port=1&encrypt=1&token=abc', 'ws://h/?token=abc'],
  ['ws://h:6080/?token=abc#part', 'ws://h:6080/?token=abc'],
  ['wss://user:pass@h/serial/?token=abc', 'wss://h/serial/?token=abc'],
  ['http://h/vnc.html', 'ws://h/'],
])('leads from the access URL %s to %s', (url, address) => {
  expect(socketAddress(url).href).toBe(address)
})

it.each([
  ['a relative address', '/vnc.html?token=secret'],
  ['a path of another host', 'https://h/vnc.html?path=//evil/%3Ftoken%3Dsecret'],
  ['a path of another scheme', 'https://h/vnc.html?path=javascript:secret'],
  ['a scheme that is not of the web', 'spice://h/?token=secret'],
])('refuses %s, and does not repeat its token', (_, url) => {
  expect(() => socketAddress(url)).toThrow(SettingsError)
  expect(() => socketAddress(url)).not.toThrow(/secret/)
})
