/** What a TypeScript file means, without its comments and layout. */
import { type ParserOptions, parseSync } from 'rolldown/utils'

/** Whether two versions of a file differ in comments and layout only. */
export function isSameCode(file: string, before: string, after: string): boolean {
  const [was, is] = [before, after].map((source) => JSON.stringify(parse(file, source), withoutPositions))
  return was === is
}

/** Returns the texts of a file's string literals and templates. */
export function textsOf(file: string, source: string): ReadonlySet<string> {
  const texts = new Set<string>()
  JSON.stringify(parse(file, source), (key, value) => {
    if (key === 'value' && typeof value === 'string') texts.add(value)
    if (key === 'cooked' && typeof value === 'string') texts.add(value)
    return typeof value === 'bigint' ? String(value) : value
  })
  return texts
}

/** @throws SyntaxError */
function parse(file: string, source: string): object {
  const lang: ParserOptions['lang'] = file.endsWith('x') ? 'tsx' : 'ts'
  const { program, errors } = parseSync(file, source, { lang })
  if (errors.length > 0) throw new SyntaxError(`${file}: ${errors[0]!.message}`)
  return program
}

function withoutPositions(key: string, value: unknown): unknown {
  if (key === 'start' || key === 'end') return undefined
  return typeof value === 'bigint' ? String(value) : value
}
