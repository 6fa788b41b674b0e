/** Texts for people are in the catalogues alone. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { englishHtml } from '../english-html.ts'

const folder = new URL('../src/', import.meta.url)
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
const read = (file: string) => readFileSync(new URL(file, folder), 'utf8')

/** Removes comments, and errors that only programmers see: they used an API wrongly, or the HTML does not fit its script. */
const codeOf = (source: string) =>
  source
    .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '')
    .replace(/\$\{[^}]*\}/g, '{}')
    .replace(/new TypeError\((['`]).*?\1\)/g, '')
    .replace(/throw new Error\(`(The page has no|The row has no|There is no key named|timeout for) .*?`\)/g, '')

/** A sentence or some words, and any text that is given to a property or a function that shows it. */
const texts = [
  /(['`])[A-Z][a-z]*[^'`\n\\]* [^'`\n]*\1/g,
  /(['`])[A-Z][^'`\n]*[.…?]\1/g,
  /\b(?:textContent|ariaLabel|title|alt|placeholder|label|text|advice)(?: =|:) (['`])[A-Za-z][^'`\n]*\1/g,
  /(?:'aria-label'|\b(?:tell|say|note|label|button)\()(?:, )?(['`])[A-Z][^'`\n]*\1/g,
]

/** Names of keys and of the names in protocols. */
const allowed = new Set([
  "'NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'",
  "'Permission denied.'",
])

const scripts = files.filter((file) => file.endsWith('.ts') && !file.startsWith('language/'))

it.each(scripts)('%s has no text for people', (file) => {
  const code = codeOf(read(file))
  const found = texts.flatMap((pattern) => [...code.matchAll(pattern)].map(([text]) => text))
  expect(found.filter((text) => !allowed.has(text))).toEqual([])
})

describe.each(files.filter((file) => file.endsWith('.html')))('%s', (file) => {
  it('names only messages that exist', () => {
    expect(() => englishHtml(read(file))).not.toThrow()
  })

  it('has no text for people without a message', () => {
    // Names of keys, commands and the product, and the sentence for browsers that run no scripts.
    const html = read(file).replace(/<noscript>.*<\/noscript>|<code[ >].*?<\/code>|<svg.*?<\/svg>/g, '')
    const content = [...html.matchAll(/>([^<]*\p{L}[^<]*)</gu)].map(([, text]) => text!.trim())
    expect(content.filter((text) => !/^(F\d+|Oriel)$/.test(text))).toEqual([])
    expect(html).not.toMatch(/ (title|alt|placeholder|aria-label)="[^"]/)
  })
})

it('writes the English texts into the HTML, as text', () => {
  const html = '<p class="a" data-t-title="html.keys-missing" data-t="html.stty"></p><b data-t="console"></b>'
  expect(englishHtml(html)).toBe(
    '<p class="a" data-t-title="html.keys-missing" title="Press a key that this keyboard does not have" data-t="html.stty">Type the size as <code>stty</code></p><b data-t="console">Console</b>',
  )
  expect(() => englishHtml('<p data-t="html.unknown"></p>')).toThrow('html.unknown')
  expect(() => englishHtml('<p data-t="console">Console</p>')).toThrow('other content')
})
