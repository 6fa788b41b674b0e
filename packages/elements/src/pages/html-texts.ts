/**
 * The texts in the HTML of the pages. `data-t` names the message that is an element's content, `data-t-title`, `data-t-label` and
 * `data-t-placeholder` those of its attributes, and `data-number` the value of a placeholder. The build writes the English texts;
 * {@link translateHtml} replaces them in another language.
 */
import { translation } from '../language/translate.ts'

/** The attributes that may have a text, by the data attribute that names its message. */
const attributes = {
  'data-t-title': 'title',
  'data-t-label': 'aria-label',
  'data-t-placeholder': 'placeholder',
} as const

/** Replaces the texts of `root`, also in its templates, by those of the language of the page. Keeps those that it lacks. */
export function translateHtml(root: ParentNode): void {
  for (const { content } of root.querySelectorAll('template')) translateHtml(content)
  for (const element of root.querySelectorAll<HTMLElement>('[data-t]')) {
    const text = messageOf(element, 'data-t')
    if (text !== undefined) element.replaceChildren(...richText(text))
  }
  for (const [from, to] of Object.entries(attributes))
    for (const element of root.querySelectorAll<HTMLElement>(`[${from}]`)) {
      const text = messageOf(element, from)
      if (text !== undefined) element.setAttribute(to, text)
    }
}

const messageOf = (element: HTMLElement, attribute: string) =>
  translation(element.getAttribute(attribute) ?? '', { number: element.dataset.number ?? '' })

/** Returns the nodes of a message, which may have `<i>`, `<em>` and `<code>` without others inside. */
function richText(text: string): Node[] {
  return text.split(/(<(?:i|em|code)>.*?<\/\w+>)/).map((part) => {
    const [, tag, content] = /^<(i|em|code)>(.*)<\/\w+>$/.exec(part) ?? []
    if (tag === undefined) return new Text(part)
    const element = document.createElement(tag)
    element.textContent = content!
    return element
  })
}
