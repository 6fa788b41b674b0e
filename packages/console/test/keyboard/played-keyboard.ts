/** A guest's keyboard: plays strokes on a layout and returns what they type. */
import type { KeyStroke, Layout } from '../../src/index.ts'

const controlKeys = new Map([
  [0x1c, '\n'],
  [0x0f, '\t'],
  [0x0e, '\b'],
  [0x01, '\u001b'],
])
const SHIFT = 0x2a
const ALT_GR = 0xb8
const SPACE = 0x39

/** Returns the text that the strokes type, and the scancodes of the keys that are still down. */
export function play(strokes: readonly KeyStroke[], layout: Layout): { text: string; down: number[] } {
  const rows = new Map<number, string>(layout.keys)
  const down = new Set<number>()
  let dead: ReadonlyMap<string, string> | undefined
  let text = ''
  for (const { scancode, down: goesDown } of strokes) {
    if (goesDown === down.has(scancode)) throw new Error(`The key ${scancode} goes ${goesDown ? 'down' : 'up'} twice`)
    if (!goesDown) {
      down.delete(scancode)
      continue
    }
    down.add(scancode)
    if (scancode === SHIFT || scancode === ALT_GR) continue
    const level = (down.has(SHIFT) ? 1 : 0) + (down.has(ALT_GR) ? 2 : 0)
    const deadKey = layout.dead.find((key) => key.scancode === scancode && key.level === level)
    if (deadKey) {
      dead = new Map(Array.from({ length: deadKey.pairs.length / 2 }, (_, i) => pair(deadKey.pairs, i)))
      continue
    }
    const character =
      controlKeys.get(scancode) ?? (scancode === SPACE && level === 0 ? ' ' : rows.get(scancode)?.[level])
    text += dead ? (dead.get(character!) ?? '�') : character
    dead = undefined
  }
  return { text, down: [...down] }
}

const pair = (pairs: string, i: number) => [pairs[2 * i]!, pairs[2 * i + 1]!] as const
