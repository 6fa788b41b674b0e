/** Chooses the tests that are nearest to a change. */
import { dirname, join } from 'node:path'
import { isSameCode, textsOf } from './code.ts'

/** A changed file, by its path from the root of the workspace. */
export interface Change {
  readonly file: string
  /** Absent if the file is new. */
  readonly before?: string | undefined
  /** Absent if the file was deleted. */
  readonly after?: string | undefined
}

/** The texts of test files, by their paths. */
export type Tests = ReadonlyMap<string, string>

export interface Selection {
  /** Tests in the folder that mirrors a changed file, tests that import it, and tests that quote a text which it lost. */
  readonly tests: readonly string[]
  /** The changed files in which only comments or layout differ. They need no test. */
  readonly withoutCode: readonly string[]
}

export function selectTests(changes: readonly Change[], tests: Tests): Selection {
  const sources = changes.filter(({ file }) => /\.tsx?$/.test(file))
  const withoutCode = sources.filter(hasSameCode)
  const changed = sources.filter((change) => !withoutCode.includes(change))
  const found = changed.flatMap((change) => [
    ...mirrored(change.file, tests),
    ...importers(change.file, tests),
    ...quoting(lostTexts(change), tests),
  ])
  return { tests: [...new Set(found)].sort(), withoutCode: withoutCode.map(({ file }) => file) }
}

const hasSameCode = ({ file, before, after }: Change) =>
  before !== undefined && after !== undefined && isSameCode(file, before, after)

/** `packages/proxy/src/rfb/wire/reader.ts` → the tests below `packages/proxy/test/rfb/wire`, else `packages/proxy/test/rfb`. */
function mirrored(file: string, tests: Tests): string[] {
  if (tests.has(file)) return [file]
  const path = file.replace('/src/', '/test/')
  const own = path.replace(/\.tsx?$/, '.test.ts')
  if (tests.has(own)) return [own]
  for (let folder = dirname(path); folder.includes('/test/'); folder = dirname(folder)) {
    const below = [...tests.keys()].filter((test) => test.startsWith(`${folder}/`))
    if (below.length > 0) return below
  }
  return []
}

function importers(file: string, tests: Tests): string[] {
  return [...tests].filter(([test, text]) => imports(test, text).includes(file)).map(([test]) => test)
}

const imports = (test: string, text: string): string[] =>
  [...text.matchAll(/from '(\.{1,2}\/[^']+)'/g)].map(([, path]) => join(dirname(test), path!))

/** Shorter texts, such as the names of keys, stand in too many tests to tell anything. */
const MIN_TEXT_LENGTH = 12

function lostTexts({ file, before, after }: Change): string[] {
  const kept = after === undefined ? new Set() : textsOf(file, after)
  const had = before === undefined ? [] : [...textsOf(file, before)]
  return had.filter((text) => text.length >= MIN_TEXT_LENGTH && !kept.has(text))
}

function quoting(texts: readonly string[], tests: Tests): string[] {
  return [...tests].filter(([, text]) => texts.some((lost) => text.includes(lost))).map(([test]) => test)
}
