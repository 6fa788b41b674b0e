/**
 * The texts of pages and elements in the language of the page. English is the source: its texts are in `texts`, beside the code
 * that uses them, and define which messages and placeholders there are. Each other language is one file, which is loaded when it
 * is needed.
 */
import type { Language } from './language.ts'

/** A text with placeholders, such as `{name}`. One that depends on the number `{count}` has a form for each plural of the language. */
export type Message = string | Plural

/** Forms by the categories of `Intl.PluralRules`. `other` stands for those that are absent. */
export interface Plural {
  readonly one?: string
  readonly other: string
}

type Form<M> = M extends string ? M : M extends { readonly other: infer O } ? O : never
type Names<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never
type Placeholders<M> = M extends string ? Names<M> : Names<Form<M>> | 'count'

/** Numbers are written as in the language of the page; pass a text for one that must stay as it is. */
export type Params<M> = Readonly<Record<Placeholders<M>, string | number>>

/** Returns a text in the language of the page. `params` has a value for each placeholder. */
export type Translate<Texts> = <K extends keyof Texts>(
  key: K,
  ...params: [Placeholders<Texts[K]>] extends [never] ? [] : [params: Params<Texts[K]>]
) => string

interface Spoken {
  readonly language: Language
  readonly messages: Readonly<Partial<Record<string, Message>>>
}

let spoken: Spoken = { language: 'en', messages: {} }

/** Changes the language of all texts from now on. English needs no `messages`. */
export function speak(language: Language, messages: Spoken['messages']): void {
  spoken = { language, messages }
}

/** The language of the texts. */
export const currentLanguage = (): Language => spoken.language

/** Returns the function that translates the texts `english`; a message that the language lacks stays English. */
export function translator<const Texts extends Readonly<Record<string, Message>>>(english: Texts): Translate<Texts> {
  return (key, ...[params]) => translation(String(key), params) ?? fill(english[key]!, params ?? {}, 'en')
}

/** Returns a text that has no English in `texts`, because a server or the page's HTML has it. `undefined`: use that. */
export function translation(key: string, params: Readonly<Record<string, string | number>> = {}): string | undefined {
  const message = spoken.messages[key]
  return message === undefined ? undefined : fill(message, params, spoken.language)
}

/** Puts values in place of the placeholders, and chooses the plural. */
export function fill(message: Message, params: Readonly<Record<string, string | number>>, language: Language): string {
  return formOf(message, Number(params.count), language).replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name] ?? ''
    return typeof value === 'number' ? value.toLocaleString(language) : value
  })
}

function formOf(message: Message, count: number, language: Language): string {
  if (typeof message === 'string') return message
  const category = new Intl.PluralRules(language).select(count)
  return (category === 'one' ? message.one : undefined) ?? message.other
}

/**
 * Returns the locale for times and numbers: that of the browser if it is of the page's language, because it has a region, and else
 * the language.
 */
export function currentLocale(): string {
  const isSpoken = (tag: string) => tag.split('-', 1)[0] === spoken.language
  return globalThis.navigator?.languages?.find(isSpoken) ?? spoken.language
}
