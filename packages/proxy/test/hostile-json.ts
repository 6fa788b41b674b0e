/** Hostile JSON as text: `JSON.stringify` cannot produce much of it. */
import * as fc from 'fast-check'

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

export const hostileValues: readonly string[] = [
  '{"toString":null}',
  '{"toString":null,"valueOf":null,"toJSON":null}',
  '{"__proto__":{"polluted":true}}',
  '[null]',
  '[{"toString":null}]',
  nested(5000),
  nested(100_000),
  '1e999',
  '9007199254740993',
  '-1',
  '"\\ud800"',
  `"${'x'.repeat(10_000)}"`,
  'null',
  'true',
  '""',
  '[]',
  '{}',
]

/** Generates any JSON value as text, with hostile ones among them. */
export const anyJson: fc.Arbitrary<string> = fc.oneof(fc.constantFrom(...hostileValues), fc.json({ maxDepth: 2 }))

/** Generates `honest` as text, with the value at one of its `paths` replaced. */
export const spoilt = (honest: object, ...paths: readonly string[]): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...paths), anyJson).map(([path, json]) => {
    const copy = structuredClone(honest) as Record<string, unknown>
    const names = path.split('.')
    const owner = names.slice(0, -1).reduce((value, name) => value[name] as Record<string, unknown>, copy)
    owner[names.at(-1)!] = '<spoilt>'
    return JSON.stringify(copy).replace('"<spoilt>"', () => json)
  })
