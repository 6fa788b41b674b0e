/** Writes the English texts into the HTML of a page: see `src/pages/html-texts.ts`. */
import { english } from './src/language/english.ts'
import { fill, type Message } from './src/language/translate.ts'

const attributes: Readonly<Record<string, string>> = { title: 'title', label: 'aria-label', placeholder: 'placeholder' }

/** @throws Error for a message that does not exist, and for an element that has both a message and other content */
export function englishHtml(html: string): string {
  return html
    .replace(/<[a-z][^>]* data-t-[^>]*>/g, (tag) =>
      tag.replace(/ data-t-(\w+)="([\w.-]+)"/g, (named, name: string, key: string) => {
        return `${named} ${attributes[name]}="${escaped(textOf(key, tag)).replaceAll('"', '&quot;')}"`
      }),
    )
    .replace(
      /(<(\w+)[^>]* data-t="([\w.-]+)"[^>]*>)(<\/\2>)?/g,
      (_, tag: string, _name: string, key: string, end?: string) => {
        if (end === undefined) throw new Error(`${tag} has a message and other content`)
        return tag + escaped(textOf(key, tag)) + end
      },
    )
}

function textOf(key: string, tag: string): string {
  const message = (english as Readonly<Record<string, Message>>)[key]
  if (message === undefined) throw new Error(`there is no message ${key}`)
  return fill(message, { number: /data-number="(\d+)"/.exec(tag)?.[1] ?? '' }, 'en')
}

/** Leaves the tags that a message may have. */
const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/<(?!\/?(i|em|code)>)/g, '&lt;')
