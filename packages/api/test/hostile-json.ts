/** JSON that no honest peer sends, as text: much of it cannot be written by `JSON.stringify`. */
import * as fc from 'fast-check'

const nested = (depth: number, [open, close] = ['[', ']']) => open!.repeat(depth) + close!.repeat(depth)

/** Values that break careless readers: `String` throws for some of them, others overflow the stack or pollute prototypes. */
export const hostileValues: readonly string[] = [
  '{"toString":null}',
  '{"toString":null,"valueOf":null,"toJSON":null}',
  '{"toString":"x","valueOf":1,"then":"x"}',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"length":4294967295,"0":null}',
  '[{"toString":null}]',
  nested(5000),
  nested(100_000),
  `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  '1e999',
  '-1e999',
  '9007199254740993',
  '-0',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\u0000"',
  `"${'x'.repeat(100_000)}"`,
  'null',
  'true',
  '""',
  '[]',
  '{}',
]

/** Any JSON value as text, hostile ones among them, alone or deep within others. */
export const anyJson: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...hostileValues),
    fc.json({ maxDepth: 2 }),
    fc.array(tie('value'), { maxLength: 3 }).map((values) => `[${values.join(',')}]`),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'toString', 'toJSON')), tie('value')), {
        maxLength: 3,
      })
      .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`),
  ),
})).value

/** An object with some of `names` as its keys, each with any value. */
export const anyObjectOf = (...names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.constantFrom(...names), anyJson), { maxLength: names.length })
    .map((members) => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`)
