/** Which keyboard layout a machine has: the one that was chosen for it before, or a guess by the browser's languages and keyboard. */
import {
  GuestStalled,
  type LayoutName,
  layoutLabels,
  layoutNames,
  type UntypableCharacter,
  UntypableError,
} from '@oriel/console'
import { t } from './language/texts/typing.ts'

/** `KeyboardEvent.code` → the character that the key types in the browser. */
export type KeyboardMap = Pick<ReadonlyMap<string, string>, 'get'>

/** Returns all layouts, sorted by their names for people. */
export function layoutOptions(): { readonly name: string; readonly label: string }[] {
  return layoutNames.map((name) => ({ name, label: layoutLabels[name] })).sort((a, b) => a.label.localeCompare(b.label))
}

/** The most characters, and the most layouts, that the sentence names. */
const maxCharacters = 12
const maxLayouts = 3

/** Returns why a text was not typed; `undefined` for an error that only says itself. */
export function typingTrouble(error: unknown): string | undefined {
  if (error instanceof GuestStalled) return t('typing.stalled')
  return untypableText(error)
}

/** Names the characters that a layout lacks, and layouts that have all of them; `undefined` for another error. */
export function untypableText(error: unknown): string | undefined {
  if (!(error instanceof UntypableError)) return undefined
  const { layouts, characters } = error
  const names = characters.slice(0, maxCharacters).map(nameOf)
  const more = characters.length > maxCharacters ? ' …' : ''
  const able = characters.map(({ layouts }) => layouts).reduce((a, b) => a.filter((name) => b.includes(name)))
  const others = able.slice(0, maxLayouts).map(labelOf)
  const hint =
    others.length === 0 ? '' : ` ${t('typing.layouts', { count: characters.length, layouts: others.join(', ') })}`
  return (
    t('typing.lacks', { layout: layouts.map(labelOf).reduce(withLayout), characters: names.join(' ') + more }) + hint
  )
}

const withLayout = (layout: string, other: string) => t('typing.layout-with', { layout, other })
const labelOf = (name: string) => (isLayout(name) ? layoutLabels[name] : name)

// Control and combining characters would disturb the sentence.
const nameOf = ({ character, codePoint }: UntypableCharacter) =>
  /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? character : codePoint

const storageKey = (server: string) => `oriel.layout.${server}`

/** Returns the layout that was chosen for `server`, or else a guess. */
export async function chosenLayout(server: string): Promise<string> {
  const chosen = remembered(server)
  if (chosen !== null && isLayout(chosen)) return chosen
  return guessLayout(navigator.languages, await keyboardMap())
}

/** Remembers the layout in this browser. Browsers may refuse that to pages in frames. */
export function rememberLayout(server: string, layout: string): void {
  try {
    localStorage.setItem(storageKey(server), layout)
  } catch {
    // The choice holds until the page is closed.
  }
}

function remembered(server: string): string | null {
  try {
    return localStorage.getItem(storageKey(server))
  } catch {
    return null
  }
}

const isLayout = (name: string): name is LayoutName => (layoutNames as readonly string[]).includes(name)

/** Chromium alone has it, in secure contexts. */
async function keyboardMap(): Promise<KeyboardMap | undefined> {
  try {
    return await (navigator as { keyboard?: { getLayoutMap?(): Promise<KeyboardMap> } }).keyboard?.getLayoutMap?.()
  } catch {
    return undefined
  }
}

/** Layouts by language (BCP 47), where they differ by region. The others are named after the language, or in {@link byLanguage}. */
const byRegion: Readonly<Record<string, string>> = {
  'de-CH': 'ch',
  'fr-CH': 'ch-fr',
  'it-CH': 'ch-fr',
  'fr-CA': 'ca',
  'fr-BE': 'be',
  'nl-BE': 'be',
  'pt-BR': 'br',
  'en-GB': 'gb',
  'en-IE': 'gb',
}
const byLanguage: Readonly<Record<string, string>> = {
  en: 'us',
  cs: 'cz',
  da: 'dk',
  el: 'gr',
  he: 'il',
  ja: 'jp',
  nb: 'no',
  nn: 'no',
  sv: 'se',
  uk: 'ua',
}

/**
 * Guesses a layout from the browser's languages, the preferred one first. The keyboard in front of the user overrules them if it
 * is of another family: a German who types on a US keyboard probably has US machines.
 */
export function guessLayout(languages: readonly string[], keyboard?: KeyboardMap): string {
  const guess = languages.map(layoutOfLanguage).find((layout) => layout !== undefined) ?? 'us'
  if (keyboard === undefined) return guess
  if (keyboard.get('KeyQ') === 'a') return ['fr', 'be'].includes(guess) ? guess : 'fr'
  if (keyboard.get('KeyY') === 'z') return qwertz.includes(guess) ? guess : 'de'
  const isUs = keyboard.get('Semicolon') === ';' && keyboard.get('BracketLeft') === '['
  return isUs && !withUsLetters.includes(guess) ? 'us' : guess
}

const qwertz = ['de', 'ch', 'ch-fr', 'cz', 'sk', 'hu']
const withUsLetters = ['us', 'gb', 'nl', 'pl']

function layoutOfLanguage(tag: string): string | undefined {
  const { language, region } = new Intl.Locale(tag)
  const layout = byRegion[`${language}-${region}`] ?? byLanguage[language]
  if (layout !== undefined) return layout
  if (language === 'es') return region === undefined || region === 'ES' ? 'es' : 'latam'
  return isLayout(language) ? language : undefined
}
