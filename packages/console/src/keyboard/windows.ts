/**
 * Cuts strokes into windows that fit into the queue of a virtual keyboard. QEMU's PS/2 keyboard and its USB keyboard hold
 * 16 codes (`PS2_QUEUE_SIZE`, `QUEUE_LENGTH`), older ones 15, and drop keys beyond them silently. So no more than one
 * window may be on its way that the guest has not taken.
 */
import { keyNamed } from './key-names.ts'
import type { KeyStroke } from './stroke.ts'

/** Codes that fit beside three that may still be there: the keyboard's answers to a command that sets its lights. */
export const WINDOW_CODES = 12
const EXTENDED = 0x80
/** Dead keys and what follows stay together. The range of X11's dead keysyms. */
const FIRST_DEAD_KEYSYM = 0xfe50
const LAST_DEAD_KEYSYM = 0xfe93

const names = ['ShiftLeft', 'ShiftRight', 'ControlLeft', 'ControlRight', 'AltLeft', 'AltRight', 'MetaLeft', 'MetaRight']
const modifiers: ReadonlySet<number> = new Set(names.map((name) => keyNamed(name)!.scancode))

/**
 * Returns the strokes in windows of at most {@link WINDOW_CODES} codes, `reserved` of them unused. No key is down between
 * two windows: held modifiers are released, and pressed again. So another key may be pressed there, and none repeats
 * while the next window waits.
 */
export function windowsOf(strokes: readonly KeyStroke[], reserved = 0): KeyStroke[][] {
  const windows: KeyStroke[][] = []
  const held = new Map<number, KeyStroke>()
  let window: KeyStroke[] = []
  for (const group of groupsOf(strokes)) {
    const release = [...held.values()].toReversed().map((stroke) => ({ ...stroke, down: false }))
    if (window.length > 0 && codes([...window, ...group, ...releasesAfter(held, group)]) > WINDOW_CODES - reserved) {
      windows.push([...window, ...release])
      window = [...held.values()]
    }
    window.push(...group)
    for (const stroke of group) hold(held, stroke)
  }
  return window.length > 0 ? [...windows, window] : windows
}

/** Returns the codes that strokes take in the queue: two for a key with the prefix 0xe0. */
function codes(strokes: readonly KeyStroke[]): number {
  return strokes.reduce((sum, { scancode }) => sum + (scancode & EXTENDED ? 2 : 1), 0)
}

/** Cuts after each stroke at which only modifiers are down and no dead key waits. */
function groupsOf(strokes: readonly KeyStroke[]): KeyStroke[][] {
  const groups: KeyStroke[][] = []
  let group: KeyStroke[] = []
  const down = new Set<number>()
  let dead = false
  for (const stroke of strokes) {
    group.push(stroke)
    if (!modifiers.has(stroke.scancode)) {
      if (stroke.down) down.add(stroke.scancode)
      else down.delete(stroke.scancode)
      dead = stroke.keysym >= FIRST_DEAD_KEYSYM && stroke.keysym <= LAST_DEAD_KEYSYM
    }
    if (down.size === 0 && !dead) {
      groups.push(group)
      group = []
    }
  }
  return group.length > 0 ? [...groups, group] : groups
}

function releasesAfter(held: ReadonlyMap<number, KeyStroke>, group: readonly KeyStroke[]): KeyStroke[] {
  const after = new Map(held)
  for (const stroke of group) hold(after, stroke)
  return [...after.values()]
}

function hold(held: Map<number, KeyStroke>, stroke: KeyStroke): void {
  if (!modifiers.has(stroke.scancode)) return
  if (stroke.down) held.set(stroke.scancode, stroke)
  else held.delete(stroke.scancode)
}
