/** The table of values in the chart's README, made from the comments in `values.yaml`. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

const chart = new URL('../../../deploy/helm/oriel/', import.meta.url)
export const readmeFile = new URL('README.md', chart)

/** A value that a comment beginning with `# -- ` describes. */
export interface DescribedValue {
  readonly path: readonly string[]
  readonly meaning: string
  readonly default: unknown
}

/** Returns the README with the table of the current values. */
export function readmeWithTable(): string {
  const rows = describedValues().map((row) => `| \`${row.path.join('.')}\` | ${shown(row.default)} | ${row.meaning} |`)
  const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')
  return readFileSync(readmeFile, 'utf8').replace(
    /<!-- values -->\n[\s\S]*?<!-- \/values -->/,
    () => `<!-- values -->\n${table}\n<!-- /values -->`,
  )
}

/** Returns the values of `values.yaml` that have a description, in the order of the file. */
export function describedValues(): DescribedValue[] {
  const text = readFileSync(new URL('values.yaml', chart), 'utf8')
  const values = parse(text)
  const lines = text.split('\n')
  const parents: string[] = []
  return lines.flatMap((line, index) => {
    const [, blanks, key] = /^( *)([\w-]+):/.exec(line) ?? []
    if (blanks === undefined || key === undefined) return []
    const path = [...parents.slice(0, blanks.length / 2), key]
    parents.splice(0, parents.length, ...path)
    const meaning = /^ *# -- (.*)$/.exec(lines[index - 1] ?? '')?.[1]
    return meaning === undefined ? [] : [{ path, meaning, default: valueAt(values, path) }]
  })
}

const valueAt = (values: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), values)

/** A default as JSON, unless it is too long for a table. */
function shown(value: unknown): string {
  const json = JSON.stringify(value)
  return json.length > 60 ? '`values.yaml`' : `\`${json}\``
}
