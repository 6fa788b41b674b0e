import { describe, expect, it } from 'vitest'
import { kindOf } from '../src/console/kind.ts'

describe('kindOf', () => {
  it.each([
    ['https://h/vnc_lite.html?path=%3Ftoken%3Dt', 'vnc'],
    ['https://h/novnc/vnc_auto.html?token=t', 'vnc'],
    ['https://h/vnc.html?token=t', 'vnc'],
    ['https://h/spice_auto.html?token=t', 'spice'],
    ['https://h/serial.html?token=t', 'serial'],
    ['https://h/serial_auto.html?token=t', 'serial'],
    ['wss://h:6083/?token=t', 'serial'],
    ['ws://h/?token=t', 'serial'],
    ['https://h/consoles/?path=websockify%3Ftoken%3Dt', 'vnc'],
    ['/vnc.html?token=t', 'vnc'],
  ])('reads from %s that the console is %s', (url, kind) => {
    expect(kindOf(url, 'https://portal.example/')).toBe(kind)
  })

  it.each(['', 'https://h/', 'https://h/webmks.html?token=t', 'https://h/vnc.html/other', 'http://'])(
    'reads no kind from %j',
    (url) => {
      expect(kindOf(url, 'https://portal.example/')).toBeUndefined()
    },
  )
})
