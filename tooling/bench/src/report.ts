/** Outcomes as Markdown, and their place in the page that shows them. */
import { cpus } from 'node:os'
import type { Outcome, Verdict } from './measurement.ts'

/** A run that is no measurement of the registry, as its section of the page needs it. */
export interface Measured {
  readonly title: string
  readonly method: string
  readonly outcome: Outcome
}

/** One section: what was found, and how to find it again. */
export function section(title: string, method: string, outcome: Outcome, command: string): string {
  const { columns, rows, verdicts } = outcome
  return [
    `### ${title}`,
    method,
    table(['', ...columns], rows),
    ...(verdicts.length > 0 ? [table(['goal', 'found', 'met'], verdicts.map(verdictRow))] : []),
    `${today()}, \`${command}\`, ${machine()}.`,
  ].join('\n\n')
}

/** Puts `text` between the markers of `name`, whatever stood there. @throws when the page has no such markers */
export function replaceSection(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} … ${end}`)
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`
}

/** Processors, Node and, where the bench was put into a guest, which. */
export function machine(): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? 'unknown'
  const place = process.env.BENCH_PLACE
  return [`${processors.length} × ${model}`, 'Linux', `Node ${process.version}`, ...(place ? [place] : [])].join(', ')
}

export const today = (): string => new Date().toISOString().slice(0, 10)

export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

const verdictRow = ({ goal, found, met }: Verdict) => [
  goal,
  found,
  met === undefined ? 'not tried' : met ? 'yes' : 'no',
]
