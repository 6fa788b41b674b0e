import { type ParserOptions, parseSync } from 'rolldown/utils'
import { type Phrase, phrases } from './phrases.ts'

export interface Finding {
  /** From 1. */
  readonly line: number
  /** The phrase as written in the comment. */
  readonly text: string
  /** Advice: what to write instead. */
  readonly instead: string
}

interface Span {
  readonly start: number
  end: number
}

/**
 * The separator between two words of a phrase: whitespace, and the markers at the beginning of a comment's next line.
 */
const GAP = String.raw`(?:\s|\*|//)+`
const NEXT_LINE = /^[^\S\n]*\n[^\S\n]*$/
const matchers = phrases.map((phrase) => ({ pattern: patternOf(phrase), instead: phrase.instead }))

/**
 * Returns the phrases in the comments of a TypeScript source, in their order. Throws a `SyntaxError` if it cannot be
 * parsed.
 */
export function findings(fileName: string, source: string): readonly Finding[] {
  return commentsOf(fileName, source).flatMap((comment) => findingsIn(source, comment))
}

/** Returns the comments of a source. Merges line comments on consecutive lines: a sentence may span them. */
function commentsOf(fileName: string, source: string): readonly Span[] {
  const lang: ParserOptions['lang'] = fileName.endsWith('x') ? 'tsx' : 'ts'
  const { comments, errors } = parseSync(fileName, source, { lang })
  if (errors.length > 0) throw new SyntaxError(`${fileName}: ${errors[0]!.message}`)
  const spans: Span[] = []
  for (const { type, start, end } of comments) {
    const last = spans.at(-1)
    if (type === 'Line' && last && NEXT_LINE.test(source.slice(last.end, start))) last.end = end
    else spans.push({ start, end })
  }
  return spans
}

function findingsIn(source: string, { start, end }: Span): readonly Finding[] {
  const comment = source.slice(start, end)
  return matchers
    .flatMap(({ pattern, instead }) => [...comment.matchAll(pattern)].map((match) => ({ match, instead })))
    .sort((a, b) => a.match.index - b.match.index)
    .map(({ match, instead }) => ({
      line: source.slice(0, start + match.index).split('\n').length,
      text: match[0].replace(new RegExp(GAP, 'g'), ' '),
      instead,
    }))
}

function patternOf({ words, notAfter, notBefore }: Phrase): RegExp {
  const alternatives = words.split(' ').map((word) => `(?:${word})`)
  const before = notAfter ? String.raw`(?<!\b${notAfter}${GAP})` : ''
  const after = notBefore ? `(?!${GAP}${notBefore}\\b)` : ''
  return new RegExp(String.raw`${before}\b${alternatives.join(GAP)}(?![\w'’])${after}`, 'gi')
}
