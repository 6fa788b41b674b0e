/** The fonts of which the tables are made, and where Debian 12 has them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BitmapFont } from '@oriel/console'
import { requirement } from '@oriel/testkit'
import { embeddedFont, uefiFont, unpackKernel } from './embedded.ts'
import { readPf2 } from './pf2.ts'
import { readPsf } from './psf.ts'

/** Where `tests/install-debian-packages` unpacks packages. */
export const unpacked = process.env.ORIEL_TEST_PARTS ?? '/usr/local/share/oriel-test-parts'
export const GRUB_FONT = '/usr/share/grub/unicode.pf2'
export const VGA_BIOS = '/usr/share/seabios/vgabios-stdvga.bin'
const consoleFonts = join(unpacked, 'usr/share/consolefonts')

/** Whether the packages with the fonts are there, for tests. */
export function missingParts() {
  const files = [GRUB_FONT, VGA_BIOS, consoleFonts, join(unpacked, 'boot'), join(unpacked, 'usr/share/OVMF')]
  return requirement('console fonts', files.every(existsSync), 'run tests/install-debian-packages')
}

/** The families of `console-setup-linux`. Each is split into files by character set, of which Debian loads one. */
const families = ['VGA', 'Fixed', 'Terminus', 'TerminusBold', 'TerminusBoldVGA'] as const

/**
 * Returns the fonts, those that win first: the ones that a machine starts with, then the ones that Debian and Ubuntu load,
 * Fedora's and RHEL's, and GRUB's.
 */
export function tableFonts(): BitmapFont[] {
  return [...firmwareFonts(), ovmf(), ...kernelFonts(), ...families.flatMap(familyFonts), sun(), grub()]
}

/** SeaVGABIOS, QEMU's and so that of SeaBIOS, GRUB and Linux in text mode. */
export function firmwareFonts(): BitmapFont[] {
  const bios = readFileSync(VGA_BIOS)
  return ['VGA8', 'VGA14', 'VGA16'].map((name) => embeddedFont('SeaVGABIOS', bios, psf(`Lat15-${name}`)))
}

/** OVMF, QEMU's UEFI firmware. */
const ovmf = () => uefiFont('OVMF', readFileSync(join(unpacked, 'usr/share/OVMF/OVMF_CODE_4M.fd')))

/** The fonts of Debian's kernels, for framebuffers: 8×8, 8×16, and Terminus 16×32 for large ones. */
export function kernelFonts(): BitmapFont[] {
  const boot = join(unpacked, 'boot')
  const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'))!
  const image = unpackKernel(readFileSync(join(boot, kernel)))
  return ['VGA8', 'VGA16', 'TerminusBold32x16'].map((name) => embeddedFont('Linux', image, psf(`Lat15-${name}`)))
}

/** Returns the fonts of a family, one for each size, with the characters of all its files. */
function familyFonts(family: string): BitmapFont[] {
  const pattern = new RegExp(`^[A-Z]\\w+-${family}\\d[\\dx]*\\.psf\\.gz$`)
  const files = readdirSync(consoleFonts)
    .filter((name) => pattern.test(name))
    .toSorted()
  const sizes = Map.groupBy(
    files.map((file) => psf(file.replace('.psf.gz', ''))),
    ({ width, height }) => `${width}x${height}`,
  )
  return [...sizes.values()].map((fonts) => ({
    ...fonts[0]!,
    name: family,
    glyphs: fonts.flatMap(({ glyphs }) => glyphs),
  }))
}

/** The font that RHEL 7 and Fedora loaded; from `console-data`. */
const sun = () => ({ ...psf('latarcyrheb-sun16'), name: 'Sun' })

/** GNU Unifont as GRUB's gfxterm uses it. */
const grub = () => readPf2('Unifont', readFileSync(GRUB_FONT))

/** Reads a font of Linux's console by its name, such as `Lat15-VGA16`. */
export function psf(name: string): BitmapFont {
  return readPsf(name, readFileSync(join(consoleFonts, `${name}.psf.gz`)))
}
