/** The text on the screens of real guests, compared character by character with what they have written. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadGlyphs, readText, type ScreenText, UNREADABLE } from '@oriel/console'
import { requires, startQemu } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { STARTS, startCharactersGuest } from './parts/characters-guest.ts'
import { GRUB_ENTRIES } from './parts/grub-disk.ts'
import { unpacked } from './parts/linux-files.ts'
import { type LinuxGuest, requiresLinux, startLinux } from './parts/linux-guest.ts'
import { imageOf, untilText } from './parts/screen-text.ts'

const { skip, reason } = requires('qemu')
const linux = requiresLinux()

describe.skipIf(skip)(`the text on the screen of a real guest${reason}`, () => {
  it("is that of SeaBIOS, the cursor's cell included", async () => {
    await using guest = await startQemu({ name: 'firmware', vnc: false })
    const version = /\d+\.\d+\.\d+-debian-[\d.-]+/.exec(readFileSync('/usr/share/seabios/bios-256k.bin', 'latin1'))![0]
    const text = await untilText(guest, (text) => text.endsWith('menu.'))
    expect(String(text)).toBe(`SeaBIOS (version ${version})\n\nPress ESC for boot menu.`)
  })

  it('is each character of the VGA font, in each attribute, under a blinking cursor too', async () => {
    for (const { lines } of await withAndWithoutCursor('y'))
      for (const start of STARTS) expect(lines.slice(start, start + 4)).toEqual(allCharacters())
  })

  it('has no character where a cursor hides by what two of them differ', async () => {
    // The last two rows of `g` and `q`.
    const texts = await withAndWithoutCursor('g')
    expect(texts.map(({ lines }) => lines[1]!.slice(21, 26)).toSorted()).toEqual(['efghi', `ef${UNREADABLE}hi`])
  })
})

/** Returns the texts of a screen of which a cursor blinks on a character. */
async function withAndWithoutCursor(character: string): Promise<ScreenText[]> {
  await using guest = await startCharactersGuest(character)
  await untilText(guest, (text) => text.includes('hijklm'))
  const table = await loadGlyphs()
  const texts = new Map<string, ScreenText>()
  await guest.untilPicture((picture) => {
    texts.set(Buffer.from(picture.data).toString('latin1'), readText(imageOf(picture), table))
    return texts.size === 2
  })
  return [...texts.values()]
}

describe.skipIf(skip || linux.skip)(`the text on the screen of a UEFI firmware${reason}${linux.reason}`, () => {
  it('is that of its shell, with the cursor and what is typed', async () => {
    const firmware = `if=pflash,format=raw,readonly=on,file=${join(unpacked, 'usr/share/OVMF/OVMF_CODE_4M.fd')}`
    await using guest = await startQemu({
      name: 'uefi',
      vnc: false,
      args: ['-m', '256', '-boot', 'menu=off,splash-time=0', '-drive', firmware],
    })
    // Skips the countdown before the prompt, wherever it is.
    await untilText(guest, (text) => text.includes('startup.nsh'))
    await guest.sendKey('esc')
    await untilText(guest, (text) => text.endsWith('Shell>'))
    for (const key of ['e', 'c', 'h', 'o', 'spc', 'q', 'j', 'y', 'ret']) await guest.sendKey(key)
    const text = await untilText(guest, (text) => text.endsWith('qjy\nShell>'))
    expect(text.lines.slice(0, 2)).toEqual(['UEFI Interactive Shell v2.2', 'EDK II'])
    expect(String(text)).toContain('\nShell> echo qjy\nqjy\nShell>')
    expect(String(text)).not.toContain(UNREADABLE)
    expect(text.grid).toMatchObject({ cellWidth: 8, cellHeight: 19 })
  })
})

describe.skipIf(skip || linux.skip)(`the text on the screen of a real Linux${reason}${linux.reason}`, () => {
  it('is what was written to a text console of 80 by 25, in each font of Debian', async () => {
    const fonts = [
      'Lat15-Fixed16',
      'Lat15-Terminus16',
      'Lat15-TerminusBold16',
      'Lat15-VGA16',
      'Lat15-VGA8',
      'Lat2-Fixed16',
    ]
    await using guest = await startLinux({ fonts, vnc: false, tty1: 'record' })
    await untilText(guest, (text) => text.includes('ready'))
    expect(await written(guest)).toEqual(LINES)
    for (const font of fonts) {
      await guest.run(`setfont -C /dev/tty1 ${font}`)
      expect.soft(await written(guest), font).toEqual(LINES)
    }
  })

  it('is what was written to a framebuffer console, after the menu of a graphical GRUB', async () => {
    const fonts = ['Lat15-Fixed16', 'Lat15-TerminusBold20x10', 'Lat15-Terminus32x16', 'Lat15-VGA16', 'Lat15-Fixed18']
    await using guest = await startLinux({ boot: 'grub-graphics', menu: true, fonts, vnc: false, tty1: 'record' })
    expect(menuOf(await untilText(guest, isMenu), '┃')).toEqual(grubMenu([HELP, `${ENTER}${EDIT} ${BEFORE}`]))
    await guest.sendKey('down')
    await untilText(guest, (text) => text.includes(`*${GRUB_ENTRIES[1]}`))
    await guest.sendKey('ret')
    await untilText(guest, (text) => text.includes('ready'))
    expect(await written(guest)).toEqual(LINES)
    for (const font of fonts) {
      await guest.run(`setfont -C /dev/tty1 ${font}`)
      expect.soft(await written(guest), font).toEqual(LINES)
    }
  })

  it('is the menu of a GRUB in text mode', async () => {
    await using guest = await startLinux({ boot: 'grub-text', menu: true, vnc: false })
    const text = await untilText(guest, isMenu)
    expect(menuOf(text, '│')).toEqual(grubMenu([HELP, `${ENTER}${EDIT}`, BEFORE]))
  })
})

/** The 256 characters of code page 437 as 80 by 25 shows them, blanks and the full block as blanks. */
function allCharacters(): string[] {
  const controls = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼'
  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join('')
  const accented = 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»'
  const frames = '░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌ ▄▌▐▀'
  const signs = 'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ '
  const all = `${controls}${ascii}⌂${accented}${frames}${signs}`
  return [0, 1, 2, 3].map((line) => all.slice(line * 80, (line + 1) * 80).trimEnd())
}

/** A screen for the fonts of `LINES`: what each of them has, in colours and inverse, with the cursor after the last line. */
const LINES = [
  Array.from({ length: 64 }, (_, i) => String.fromCharCode(0x20 + i)).join(''),
  Array.from({ length: 31 }, (_, i) => String.fromCharCode(0x60 + i)).join(''),
  'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.',
  'inverse, bold red, blue on white',
  '',
  '  ┌──┐  Il1|  0O  rn m  ,;:.  `\'"  -_=~  {}[]()<>  é ö ç',
  '  └──┘  gjpqy',
]

/** Clears the screen of tty1, writes {@link LINES}, and returns the lines on the screen. */
async function written(guest: LinuxGuest): Promise<readonly string[]> {
  const [upper, lower, german, , , frame, last] = LINES
  const colours = '\x1b[7minverse\x1b[0m, \x1b[1;31mbold red\x1b[0m, \x1b[34;47mblue on white\x1b[0m'
  const screen = `\x1b[2J\x1b[H${[upper, lower, german, colours, '', frame, last].join('\r\n')}`
  await guest.run(`printf %s ${Buffer.from(screen).toString('base64')} | base64 -d >/dev/tty1`)
  const text = await untilText(guest, (text) => text.endsWith(last!.trim()))
  return String(text).split('\n')
}

/** Whether the menu is complete: GRUB draws the entries last. */
const isMenu = (text: string) => text.includes('for a command-line.') && text.includes('Reboot')

/** What a GRUB menu says, without its frame: the title, the entries, and the help. */
function menuOf({ lines }: ScreenText, side: string): string[] {
  const inner = lines.filter((line) => line.trim().startsWith(side))
  const outer = lines.filter((line) => !/[│┃─━]/.test(line)).map((line) => line.trim())
  expect(inner.every((line) => line.trim().endsWith(side))).toBe(true)
  return [...outer, ...inner.map((line) => line.trim().slice(1, -1).trim())]
    .filter((line) => line !== '')
    .join('\n')
    .split('\n')
}

const HELP = 'Use the ↑ and ↓ keys to select which entry is highlighted.'
const ENTER = 'Press enter to boot the selected OS, '
const EDIT = "`e' to edit the commands"
const BEFORE = "before booting or `c' for a command-line."

/** GRUB breaks the help where the screen ends. */
function grubMenu(help: readonly string[]): string[] {
  const version = execFileSync('grub-mkimage', ['--version'], { encoding: 'utf8' }).trim().split(' ').at(-1)
  const [first, ...others] = GRUB_ENTRIES
  return [`GNU GRUB  version ${version}`, ...help, `*${first}`, ...others]
}
