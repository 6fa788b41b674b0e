/** Shows a page in the language of its user. */
import { catalogues, chooseLanguage, inTime, useLanguage } from '../language/load.ts'
import { currentLanguage } from '../language/translate.ts'

/**
 * Chooses the language by the parameter `language` of the page's address, which Skyline appends, and then by the languages of the
 * browser. Loads it, translates the page and shows it. Await it before anything that shows a text. If the language cannot be
 * loaded, the page is English.
 */
export async function startLanguage(): Promise<void> {
  let translate: ((root: ParentNode) => void) | undefined
  const wanted = new URL(location.href).searchParams.get('language')
  await useLanguage(chooseLanguage([wanted, ...navigator.languages]), async (language) => {
    // Not for English, whose texts are in the HTML.
    const [messages, html] = await inTime(Promise.all([catalogues[language](), import('./html-texts.ts')]))
    translate = html.translateHtml
    return messages
  })
  const { documentElement } = document
  documentElement.lang = currentLanguage()
  translate?.(document)
  delete documentElement.dataset.untranslated
}

/** Returns the address of a console's page with the parameter `language` of this page, if it has one. */
export function withLanguage(address: string, page: string = location.href): string {
  const language = new URL(page).searchParams.get('language')
  if (language === null) return address
  const url = new URL(address)
  url.searchParams.set('language', language)
  return url.href
}
