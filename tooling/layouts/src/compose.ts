/** What a dead key and the key after it type, from the compose file of Debian's `libx11-data`. */
import { readFile } from 'node:fs/promises'

export const composeFile = '/usr/share/X11/locale/en_US.UTF-8/Compose'

/** Keysym name of a dead key → keysym name of the next key → the character typed. */
export type Compositions = ReadonlyMap<string, ReadonlyMap<string, string>>

export async function readCompositions(path = composeFile): Promise<Compositions> {
  return parseCompose(await readFile(path, 'utf8'))
}

/** Reads the sequences of two keys: `<dead_circumflex> <e> : "ê" ecircumflex`. */
export function parseCompose(text: string): Compositions {
  const compositions = new Map<string, Map<string, string>>()
  for (const [, dead, next, result] of text.matchAll(/^<(dead_\w+)>\s*<(\w+)>\s*:\s*"((?:[^"\\]|\\.)+)"/gm)) {
    const followers = compositions.get(dead!) ?? new Map<string, string>()
    followers.set(next!, result!.replace(/\\(.)/g, '$1'))
    compositions.set(dead!, followers)
  }
  return compositions
}
