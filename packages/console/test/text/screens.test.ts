/** Screens of real guests in QEMU, recorded by `tests/e2e/screen-text.test.ts` and its like, and their texts. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodePng, type Image, loadGlyphs, readText } from '@oriel/console'
import { describe, expect, it } from 'vitest'

const folder = join(import.meta.dirname, 'screens')
const names = (await readdir(folder)).filter((name) => name.endsWith('.png')).map((name) => name.replace('.png', ''))

async function recorded(name: string): Promise<{ image: Image; text: string }> {
  const file = (ending: string) => readFile(join(folder, `${name}.${ending}`))
  return { image: decodePng(await file('png')), text: (await file('txt')).toString('utf8').trimEnd() }
}

/** Returns the picture with other colours, of which no two are the same. */
function recoloured({ width, height, rgba }: Image): Image {
  return { width, height, rgba: rgba.map((level, i) => (i % 4 === 3 ? 255 : (level * 7 + 61 * (i % 4)) & 255)) }
}

/** Returns the part of the picture from `left` and `top` on. */
function cropped({ width, height, rgba }: Image, left: number, top: number): Image {
  const size = { width: width - left, height: height - top }
  const rows = Array.from({ length: size.height }, (_, y) => {
    const from = ((y + top) * width + left) * 4
    return rgba.subarray(from, from + size.width * 4)
  })
  return { ...size, rgba: new Uint8Array(Buffer.concat(rows)) }
}

describe.each(names)('the recorded screen %s', (name) => {
  it('reads as what the guest has written', async () => {
    const { image, text } = await recorded(name)
    expect(String(readText(image, await loadGlyphs()))).toBe(text)
    expect(String(readText(image, await loadGlyphs({ unifont: true })))).toBe(text)
  })

  it('reads the same in other colours', async () => {
    const { image, text } = await recorded(name)
    expect(String(readText(recoloured(image), await loadGlyphs()))).toBe(text)
  })
})

it('reads a part of a screen, whose grid begins anywhere', async () => {
  const grub = await recorded('grub')
  // GRUB's border is ten pixels wide.
  expect(String(readText(cropped(grub.image, 3, 5), await loadGlyphs()))).toBe(grub.text)
  const linux = await recorded('linux-framebuffer')
  const lines = linux.text.split('\n').map((line) => line.slice(1))
  expect(String(readText(cropped(linux.image, 3, 5), await loadGlyphs()))).toBe(lines.slice(1).join('\n'))
})
