/** Results go to stdout, and everything else to stderr. There are no colours, and no control characters of the API's texts. */

/** Writes a line of the result. */
export function print(line: string): undefined {
  process.stdout.write(`${line}\n`)
}

/** Writes the result as JSON. Its members are stable: members may be added, but not changed. */
export const printJson = (value: unknown): undefined => print(JSON.stringify(value, null, 2))

/** Writes progress or a warning for the person at the terminal. */
export const say = (text: string): void => void process.stderr.write(`oriel: ${text}\n`)

/** Replaces control and formatting characters, with which a server's name could change the terminal. */
export const plain = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '?')

/** The longest value that a message repeats. Server names that people choose are shorter. */
const MAX_ECHOED_CHARS = 80

/** Returns a value as a message repeats it: without control characters, and cut if it is long. */
export function echoed(text: string): string {
  const safe = plain(text)
  return safe.length <= MAX_ECHOED_CHARS ? safe : `${safe.slice(0, MAX_ECHOED_CHARS).toWellFormed()}…`
}

/** Formats rows as columns, below their titles. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [titles, ...rows.map((row) => row.map((cell) => plain(cell) || '-'))]
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
