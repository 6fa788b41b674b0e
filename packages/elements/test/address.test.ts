import { socketAddress } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { resumableUrl } from '../src/address.ts'

const token = '7f2c1d9e-4a0b-4c53-9a6d-0c1f3f0e8b11'

describe('resumableUrl', () => {
  it.each([
    [`http://h/vnc_lite.html?path=%3Ftoken%3D${token}`, 'http://h/vnc_lite.html?resume=a'],
    [`http://h/vnc.html?token=${token}&title=web&resize=off`, 'http://h/vnc.html?title=web&resize=off&resume=a'],
    [
      `http://h/vnc.html?path=ws%3Finstance%3Di%26token%3D${token}`,
      'http://h/vnc.html?path=ws%3Finstance%3Di&resume=a',
    ],
    ['http://h/vnc.html?path=websockify&token=t#f', 'http://h/vnc.html?path=websockify&resume=a#f'],
    [`http://h/vnc.html?path=%3Fserver%3Ds%26token%3D${token}`, 'http://h/vnc.html?path=%3Fserver%3Ds&resume=a'],
    [`http://h/serial.html?server=s&token=${token}`, 'http://h/serial.html?server=s&resume=a'],
    ['http://h/vnc.html?resume=b', 'http://h/vnc.html?resume=a'],
  ])('replaces the token in %s by the handle', (url, expected) => {
    expect(resumableUrl(url, 'a')).toBe(expected)
    expect(resumableUrl(url, 'a')).not.toContain(token)
    expect(socketAddress(resumableUrl(url, 'a'))?.searchParams.get('resume')).toBe('a')
  })
})
