/** Formats outcomes as Markdown, and inserts them into the page. */
import { cpus } from 'node:os'
import type { Outcome, Verdict } from './measurement.ts'

/** A run outside of the registry, such as a soak, with the texts for its section of the page. */
export interface Measured {
  readonly title: string
  readonly method: string
  readonly outcome: Outcome
}

/** Formats one section: the outcome, and the command that repeats it. */
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

/** Replaces the text between the markers of `name`. @throws if the page has no such markers */
export function replaceSection(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} … ${end}`)
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`
}

/** Describes the machine: processors, Node and, if the bench runs in a guest, the guest. */
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
