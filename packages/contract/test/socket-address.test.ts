/** The rules by which pages, `@oriel/console` and the command find the WebSocket of an access URL. */
import { describe, expect, it } from 'vitest'
import { accessUrl, pathAddress, socketAddress } from '../src/index.ts'

const token = '7f2c1d9e-4a0b-4c53-9a6d-0c1f3f0e8b11'

describe('socketAddress', () => {
  it.each([
    [
      'the access URL of the API',
      accessUrl('novnc', 'http://h:6080/vnc_lite.html', token),
      `ws://h:6080/?token=${token}`,
    ],
    ['a path that is not encoded', `http://h:6080/vnc_lite.html?path=?token=${token}`, `ws://h:6080/?token=${token}`],
    ['https as wss', `https://h/vnc.html?path=%3Ftoken%3D${token}`, `wss://h/?token=${token}`],
    ['a path prefix', `https://h/console/vnc.html?path=%3Ftoken%3D${token}`, `wss://h/console/?token=${token}`],
    ['the websockify path', `http://h/c/vnc.html?path=websockify%3Ftoken%3Dt`, 'ws://h/c/websockify?token=t'],
    ['an absolute path', `http://h/c/vnc.html?path=%2Fwebsockify%3Ftoken%3Dt`, 'ws://h/websockify?token=t'],
    ['a token by itself, the last of several', 'http://h/c/vnc.html?token=s&token=t', 'ws://h/c/?token=t'],
    ['a token beside a path without one', 'http://h/vnc.html?path=websockify&token=t', 'ws://h/websockify?token=t'],
    ['a path with a token beside another', 'http://h/vnc.html?path=%3Ftoken%3Da&token=b', 'ws://h/?token=a'],
    ['neither, for a cookie', 'http://h/c/vnc.html', 'ws://h/c/'],
    ['no other host, port or scheme', 'http://h:1/vnc.html?host=evil&port=2&encrypt=1&token=t', 'ws://h:1/?token=t'],
    ['the handle of a ticket without a token', 'http://h/c/vnc.html?resume=a&title=x', 'ws://h/c/?resume=a'],
    ['a token before the handle of a ticket', 'http://h/vnc.html?resume=a&token=t', 'ws://h/?token=t'],
    [
      'the server in the access URL of the API',
      accessUrl('novnc', 'http://h/vnc.html', token, 's/1'),
      `ws://h/?server=s%2F1&token=${token}`,
    ],
    [
      'the server of a page beside the WebSocket',
      'http://h/c/serial.html?server=s&token=t',
      'ws://h/c/?token=t&server=s',
    ],
    ['the server beside a ticket', 'http://h/vnc.html?path=%3Fserver%3Ds&resume=a', 'ws://h/?server=s&resume=a'],
    ['a WebSocket URL as it is', 'wss://h:6083/x?token=t#f', 'wss://h:6083/x?token=t'],
    ['a WebSocket URL without its credentials', 'wss://user:word@h/serial/?token=t', 'wss://h/serial/?token=t'],
    ['the folder of OpenStack-Helm’s serial page', 'http://h/serial_auto.html?token=t', 'ws://h/?token=t'],
    ['the folder of SPICE’s page', 'http://h/spice_auto.html?token=t', 'ws://h/?token=t'],
    [
      'a page with a title',
      'https://h/c/vnc_auto.html?title=x&path=websockify%3Ftoken%3Dt',
      'wss://h/c/websockify?token=t',
    ],
  ])('dials %s', (_, url, dialled) => {
    expect(socketAddress(url)?.href).toBe(dialled)
  })

  it('resolves a relative address against its page', () => {
    expect(socketAddress('vnc.html?token=t', 'https://h/console/portal.html')?.href).toBe('wss://h/console/?token=t')
  })

  it.each([
    '//evil.example/?token=t',
    '///evil.example/?token=t',
    '/\\evil.example/?token=t',
    '\\\\evil.example/',
    'http://evil.example/?token=t',
    'https://h/?token=t',
    'http://h:81/?token=t',
    'ws://evil.example/',
    'javascript:alert(1)',
    'data:text/html,x',
  ])('returns undefined for the path %s to another origin', (path) => {
    expect(socketAddress(`http://h/vnc.html?path=${encodeURIComponent(path)}`)).toBeUndefined()
  })

  it.each([
    '',
    'no address',
    '/vnc.html?token=t',
    'javascript:alert(1)',
    'ftp://h/?token=t',
    'spice://h/?token=t',
    'http://',
  ])('returns undefined for %j, which is not an address', (url) => {
    expect(socketAddress(url)).toBeUndefined()
  })
})

describe('pathAddress', () => {
  it('resolves a path against the folder of the page', () => {
    expect(pathAddress('?token=t', 'https://h/a/b/page')?.href).toBe('wss://h/a/b/?token=t')
  })

  it('drops user name and password', () => {
    expect(pathAddress('?token=t', 'http://user:word@h/')?.href).toBe('ws://h/?token=t')
  })
})
