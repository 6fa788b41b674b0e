/** Computes contrasts as WCAG 2.2 defines them, from the colours of the theme. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const theme = readFileSync(new URL('../src/pages/theme.css', import.meta.url), 'utf8')
const colours = new Map(
  [...theme.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);/g)].map(([, name, light, dark]) => [
    name!,
    { light: light!, dark: dark! },
  ]),
)
const grounds = ['surface', 'page'] as const

describe.each(['light', 'dark'] as const)('the %s theme', (scheme) => {
  const contrast = (name: string, ground: string) =>
    contrastOf(colours.get(name)![scheme], colours.get(ground)![scheme])

  it.each(['ink', 'muted', 'good', 'busy', 'bad', 'accent'])(
    'shows text in "%s" with a contrast of at least 4.5',
    (name) => {
      for (const ground of grounds) expect(contrast(name, ground), ground).toBeGreaterThanOrEqual(4.5)
    },
  )

  it('shows the edges of controls with a contrast of at least 3', () => {
    for (const ground of grounds) expect(contrast('edge', ground), ground).toBeGreaterThanOrEqual(3)
  })

  it('shows the text of a primary button with a contrast of at least 4.5', () => {
    expect(contrast('on-accent', 'accent')).toBeGreaterThanOrEqual(4.5)
  })
})

/** @see https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrastOf(one: string, other: string): number {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (lighter + 0.05) / (darker + 0.05)
}

/** @see https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
