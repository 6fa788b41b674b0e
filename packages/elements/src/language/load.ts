/** Chooses the language of a page, and loads it. */
import type { Catalogue } from './catalogue.ts'
import { type Language, languages } from './language.ts'
import { currentLanguage, speak } from './translate.ts'

/** Loads the messages of a language. */
export const catalogues = {
  de: async () => (await import('./de.ts')).german,
  fr: async () => (await import('./fr.ts')).french,
  es: async () => (await import('./es.ts')).spanish,
  ja: async () => (await import('./ja.ts')).japanese,
} as const satisfies Record<Exclude<Language, 'en'>, () => Promise<Catalogue>>

/** How long a language may take to load before the page is English. */
export const loadTimeoutMs = 5_000

/**
 * Returns the first of the wanted languages that the pages speak, or English. Takes tags of BCP 47 in any spelling, such as
 * `de`, `de-AT` and `de_DE`; the region is ignored. Ignores `null`.
 */
export function chooseLanguage(wanted: readonly (string | null)[]): Language {
  const codes = wanted.map((tag) => tag?.trim().toLowerCase().split(/[-_.]/, 1)[0])
  return (
    codes.map((code) => languages.find((language) => language === code)).find((found) => found !== undefined) ?? 'en'
  )
}

/** Returns the language of an element: by the `lang` of it or of what it is in, and then by the languages of the browser. */
export function languageOf(element: Element): Language {
  return chooseLanguage([langOf(element), ...navigator.languages])
}

/** Looks beyond shadow roots. Returns `null` if no element around `element` has a `lang`. */
function langOf(element: Element): string | null {
  const owner = element.closest('[lang]')
  if (owner !== null) return owner.getAttribute('lang')
  const root = element.getRootNode()
  return root instanceof ShadowRoot ? langOf(root.host) : null
}

interface Loading {
  readonly language: Language
  readonly done: Promise<void>
}

let loading: Loading | undefined
/** They are not tried again, so that each dial does not wait for them. */
const failed = new Set<Language>()

/**
 * Changes the language of all texts of the page. Returns a promise that resolves once the texts are there, also if loading failed and they
 * are English; `undefined` if they are there already.
 */
export function useLanguage(language: Language, load = loadCatalogue): Promise<void> | undefined {
  if (loading?.language === language) return loading.done
  loading = undefined
  if (language === currentLanguage()) return undefined
  if (language === 'en' || failed.has(language)) {
    speak('en', {})
    return undefined
  }
  const done = load(language).then(
    (messages) => ({ language, messages }),
    () => {
      failed.add(language)
      return { language: 'en', messages: {} } as const
    },
  )
  const mine: Loading = {
    language,
    // A later call may want another language.
    done: done.then((loaded) => {
      if (loading !== mine) return
      loading = undefined
      speak(loaded.language, loaded.messages)
    }),
  }
  loading = mine
  return mine.done
}

const loadCatalogue = (language: Exclude<Language, 'en'>): Promise<Catalogue> => inTime(catalogues[language]())

/** Settles as `loaded` does. @throws Error after {@link loadTimeoutMs} */
export async function inTime<T>(loaded: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('timeout')), loadTimeoutMs)
  try {
    return await Promise.race([loaded, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
