/** The page that opens an access URL. */
import { describe, expect, it } from 'vitest'
import { consolePage } from '../src/index.ts'

describe('consolePage', () => {
  it.each([
    ['novnc', 'https://h/vnc_lite.html?path=%3Ftoken%3Dt', 'https://h/vnc_lite.html?path=%3Ftoken%3Dt'],
    ['spice-direct', 'http://h:13002/nova?token=t', 'http://h:13002/nova?token=t'],
    ['serial', 'ws://h:6083/?token=t', 'http://h:6083/serial.html?token=t'],
    ['serial', 'wss://h/serial/?token=t', 'https://h/serial/serial.html?token=t'],
    ['serial', 'ws://h/serial_auto.html?token=t', 'http://h/serial.html?token=t'],
    ['serial', 'http://h/serial_auto.html?token=t', 'http://h/serial_auto.html?token=t'],
    ['novnc', 'wss://h/?token=t', 'https://h/vnc.html?token=t'],
  ] as const)('for %s at %s is %s', (type, accessUrl, page) => {
    expect(consolePage(accessUrl, type)).toBe(page)
  })

  it.each([
    ['novnc', 'https://h/vnc_lite.html?path=%3Ftoken%3Dt', 'https://h/vnc_lite.html?path=%3Ftoken%3Dt&title=a%26b+1'],
    ['serial', 'wss://h/?token=t', 'https://h/serial.html?token=t&title=a%26b+1'],
    ['serial', 'wss://h/?token=t&title=old', 'https://h/serial.html?token=t&title=a%26b+1'],
    ['spice-direct', 'http://h:13002/nova?token=t', 'http://h:13002/nova?token=t'],
  ] as const)('with a title for %s at %s is %s', (type, accessUrl, page) => {
    expect(consolePage(accessUrl, type, { title: 'a&b 1' })).toBe(page)
  })

  it('takes a WebSocket URL without a type for that of a serial console', () => {
    expect(consolePage('wss://h/?token=abc')).toBe('https://h/serial.html?token=abc')
  })

  it('is undefined for a WebSocket URL of a type without a page', () => {
    expect(consolePage('ws://h/?token=t', 'spice-direct')).toBeUndefined()
  })

  it.each(['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'vnc.html', ''])(
    'is undefined for %j',
    (url) => {
      expect(consolePage(url)).toBeUndefined()
    },
  )
})
