import { describe, expect, it } from 'vitest'
import { type KeyPress, SpiceKeyboard } from '../src/spice/keyboard.ts'
import { hasScancode, keyMessage } from '../src/spice/scancodes.ts'

describe('keyMessage', () => {
  it.each([
    ['KeyZ', '2c', 'ac'],
    ['IntlBackslash', '56', 'd6'],
    ['Escape', '01', '81'],
    ['AltRight', 'e038', 'e0b8'],
    ['ArrowLeft', 'e04b', 'e0cb'],
    ['Pause', 'e11d45', 'e19dc5'],
  ])('has the scancodes of %s', (code, press, release) => {
    expect(bytesOf(code, true)).toBe(`650004000000${press.padEnd(8, '0')}`)
    expect(bytesOf(code, false)).toBe(`660004000000${release.padEnd(8, '0')}`)
  })

  it('exists for no key without a scancode', () => {
    expect(['Unidentified', '', 'MediaPlayPause', 'toString', '__proto__'].filter(hasScancode)).toEqual([])
  })
})

describe('SpiceKeyboard', () => {
  it('sends the key by its position, whatever character it has', () => {
    const { keyboard, sent } = recorder()
    expect(keyboard.press(key('KeyZ', 'y'))).toBe(true)
    expect(keyboard.release(key('KeyZ', 'y'))).toBe(true)
    expect(sent()).toBe('+KeyZ -KeyZ')
  })

  it('sends a key that a soft keyboard reports only by its name', () => {
    const { keyboard, sent } = recorder()
    keyboard.press(key('', 'Enter'))
    keyboard.release(key('', 'Enter'))
    expect(sent()).toBe('+Enter -Enter')
  })

  it('leaves a key without scancode to the browser', () => {
    const { keyboard, sent } = recorder()
    expect(keyboard.press(key('MediaPlayPause'))).toBe(false)
    expect(keyboard.release(key('MediaPlayPause'))).toBe(false)
    expect(sent()).toBe('')
  })

  it('repeats a held key, and releases it once', () => {
    const { keyboard, sent } = recorder()
    keyboard.press(key('KeyA'))
    keyboard.press(key('KeyA'))
    keyboard.release(key('KeyA'))
    keyboard.release(key('KeyA'))
    expect(sent()).toBe('+KeyA +KeyA -KeyA')
  })

  it('releases every held key, and ignores the release that follows', () => {
    const { keyboard, sent } = recorder()
    keyboard.press(key('ControlLeft'))
    keyboard.press(key('AltLeft'))
    keyboard.releaseAll()
    keyboard.releaseAll()
    keyboard.release(key('AltLeft'))
    expect(sent()).toBe('+ControlLeft +AltLeft -ControlLeft -AltLeft')
  })

  it('releases a chord in reverse order', () => {
    const { keyboard, sent } = recorder()
    keyboard.chord(['ControlLeft', 'AltLeft', 'Delete'])
    expect(sent()).toBe('+ControlLeft +AltLeft +Delete -Delete -AltLeft -ControlLeft')
  })

  it('sends AltGr of Windows without the Control key that Windows adds', () => {
    const { keyboard, sent } = recorder('Win32')
    keyboard.press(key('ControlLeft', 'Control', 1000))
    keyboard.press(key('AltRight', 'AltGraph', 1001))
    keyboard.press(key('KeyQ', '@', 1100))
    keyboard.release(key('KeyQ', '@', 1150))
    keyboard.release(key('ControlLeft', 'Control', 1200))
    keyboard.release(key('AltRight', 'AltGraph', 1200))
    expect(sent()).toBe('+ControlLeft -ControlLeft +AltRight +KeyQ -KeyQ -AltRight')
  })

  it.each([
    ['Win32', 51],
    ['Linux x86_64', 1],
  ])('keeps Control held under AltGr that is pressed on %s %i ms later', (platform, delayMs) => {
    const { keyboard, sent } = recorder(platform)
    keyboard.press(key('ControlLeft', 'Control', 1000))
    keyboard.press(key('AltRight', 'AltGraph', 1000 + delayMs))
    expect(sent()).toBe('+ControlLeft +AltRight')
  })

  it('releases a key of a Command chord on a Mac at once, because the browser does not report it', () => {
    const { keyboard, sent } = recorder('MacIntel')
    keyboard.press(key('MetaLeft'))
    keyboard.press(key('KeyC'))
    keyboard.release(key('MetaLeft'))
    expect(sent()).toBe('+MetaLeft +KeyC -KeyC -MetaLeft')
  })

  it('presses and releases Caps Lock of a Mac at each of its two events', () => {
    const { keyboard, sent } = recorder('MacIntel')
    keyboard.press(key('CapsLock'))
    keyboard.release(key('CapsLock'))
    expect(sent()).toBe('+CapsLock -CapsLock +CapsLock -CapsLock')
  })
})

function recorder(platform = 'Linux x86_64') {
  const changes: string[] = []
  const keyboard = new SpiceKeyboard((code, down) => changes.push(`${down ? '+' : '-'}${code}`), platform)
  return { keyboard, sent: () => changes.join(' ') }
}

const key = (code: string, name = code, timeStamp = 0): KeyPress => ({ code, key: name, timeStamp })

function bytesOf(code: string, down: boolean): string {
  const message = keyMessage(code, down)
  const buffer = new ArrayBuffer(message.buffer_size())
  message.to_buffer(buffer)
  return Buffer.from(buffer).toString('hex')
}
