/** Writes the modules of the layouts. They are committed, so they have the form that the formatter gives. */
import type { Layout } from '@oriel/console'

const LINE_WIDTH = 120

export function renderLayout({ name, label, keys, dead, keysyms }: Layout, source: string): string {
  const rows = keys.map(([scancode, row]) => `    [${hex(scancode, 2)}, ${literal(row)}],\n`)
  const deadKeys = dead.map(
    ({ scancode, level, keysym, pairs }) =>
      `    {\n      scancode: ${hex(scancode, 2)},\n      level: ${level},\n      keysym: ${hex(keysym, 4)},\n${property('      ', 'pairs', literal(pairs))}    },\n`,
  )
  return `// Made by \`npm run layouts\` from ${source}. Do not edit.
import type { Layout } from '../layout.ts'

export const layout: Layout = {
  name: ${literal(name)},
  label: ${literal(label)},
  keys: [
${rows.join('')}  ],
  dead: ${deadKeys.length > 0 ? `[\n${deadKeys.join('')}  ]` : '[]'},
${property('  ', 'keysyms', literal(keysyms))}}
`
}

/** Writes a property. The formatter puts a string that does not fit into the rest of its line on one of its own. */
function property(indent: string, name: string, text: string): string {
  const line = `${indent}${name}: ${text},\n`
  return line.length <= LINE_WIDTH + 1 ? line : `${indent}${name}:\n${indent}  ${text},\n`
}

export function renderIndex(layouts: readonly Layout[]): string {
  const loaders = layouts.map(({ name }) => `  ${key(name)}: () => import('./${name}.ts'),\n`)
  const labels = layouts.map(({ name, label }) => `  ${key(name)}: ${literal(label)},\n`)
  return `// Made by \`npm run layouts\`. Do not edit.

/** The layouts by name, each loaded when it is needed. */
export const layouts = {
${loaders.join('')}} as const

/** Their names for people. */
export const layoutLabels: Readonly<Record<keyof typeof layouts, string>> = {
${labels.join('')}}
`
}

const key = (name: string) => (/^[a-z]+$/.test(name) ? name : literal(name))
const hex = (number: number, digits: number) => `0x${number.toString(16).padStart(digits, '0')}`

/** Quotes as the formatter does: with the quote that needs fewer escapes, single ones by default. */
function literal(text: string): string {
  const count = (quote: string) => text.split(quote).length - 1
  const quote = count("'") > count('"') ? '"' : "'"
  const escaped = text.replace(/\\/g, '\\\\').replaceAll(quote, `\\${quote}`)
  return quote + escaped.replace(/[\p{Cf}\p{Zs}]/gu, (space) => (space === ' ' ? space : unicodeEscape(space))) + quote
}

const unicodeEscape = (character: string) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`
