/** Prints the results of an examination. */
import { echoed, plain, print, printJson } from '../output.ts'
import type { Result } from './examination.ts'

/** The widest names, such as `spice-html5 websocket`, fit. */
const NAME_WIDTH = 21
const STATUS_WIDTH = 7
const INDENT = STATUS_WIDTH + NAME_WIDTH + 4
/** Below this width a terminal wraps the lines itself. */
const MIN_WIDTH = 72

/** Formats a result: a line, and below it what to do. @param columns the width of the terminal, `undefined` for a file */
export function linesOf({ name, status, detail, side, remedy }: Result, columns: number | undefined): string {
  const head = `${status.padEnd(STATUS_WIDTH)}  ${name.padEnd(NAME_WIDTH)}  `
  const advice = remedy === undefined ? [] : [`${' '.repeat(INDENT)}${wrapped(`fix (${side}): ${remedy}`, columns)}`]
  return [`${head}${wrapped(detail, columns)}`, ...advice].join('\n')
}

/** Breaks a text into lines of the space beside the names. */
function wrapped(text: string, columns = 0): string {
  const safe = plain(text)
  if (columns < MIN_WIDTH) return safe
  const width = columns - INDENT
  const lines = ['']
  for (const word of safe.split(' ')) {
    const line = lines.at(-1)!
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join(`\n${' '.repeat(INDENT)}`)
}

/** Facts about an examination as a whole. */
export interface Examined {
  readonly endpoint: string | undefined
  readonly server: { readonly id: string; readonly name: string } | undefined
  readonly results: readonly Result[]
  /** How many consoles were created. */
  readonly consoles: number
}

/** Whether no check failed. */
export const isHealthy = ({ results }: Pick<Examined, 'results'>): boolean =>
  results.every(({ status }) => status !== 'failed')

/** Prints the line below the results. */
export function printSummary(examined: Examined): void {
  const { results, server, consoles } = examined
  const counts = (['ok', 'warning', 'failed', 'skipped'] as const)
    .map((status) => [results.filter((result) => result.status === status).length, status] as const)
    .filter(([count, status]) => count > 0 || status === 'failed')
  print(`\n${counts.map(([count, status]) => `${count} ${status}`).join(', ')}.`)
  if (consoles > 0) print(audited(consoles, echoed(server?.name ?? 'the server')))
}

function audited(count: number, server: string): string {
  const [consoles, them] = count === 1 ? ['1 console', 'it'] : [`${count} consoles`, 'them']
  return `It created ${consoles} of ${server} and closed ${them}; the log of the proxy and the audit trail show this.`
}

/** Prints the whole examination as JSON. */
export function printExamination(examined: Examined): void {
  const { endpoint = null, server = null, results, consoles } = examined
  const [checks, consoles_created] = [results, consoles]
  printJson({ healthy: isHealthy(examined), endpoint, server, consoles_created, checks })
}
