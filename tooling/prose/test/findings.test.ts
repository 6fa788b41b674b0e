import { describe, expect, it } from 'vitest'
import { findings } from '../src/findings.ts'
import { phrases } from '../src/phrases.ts'

/** All forms of each phrase: `a|b c` becomes "a c" and "b c". */
const forms = phrases.flatMap(({ words }) =>
  words
    .split(' ')
    .map((word) => word.split('|'))
    .reduce<string[]>((heads, tails) => heads.flatMap((head) => tails.map((tail) => `${head} ${tail}`.trim())), ['']),
)
const textsIn = (source: string) => findings('a.ts', source).map(({ text }) => text)

describe.each(forms)('"%s"', (form) => {
  it.each([
    ['a line comment', `const a = 1 // It ${form} a.\n`],
    ['a block comment', `const a = /* It ${form} a. */ 1\n`],
    ['a doc comment', `/** It ${form} a. */\nexport const a = 1\n`],
    ['capitals', `// ${form.toUpperCase()}.\n`],
    ['a substitution of a template', `const a = \`\${1 /* ${form} */}\`\n`],
  ])('is found in %s', (_, source) => {
    expect(textsIn(source).map((text) => text.toLowerCase())).toContain(form)
  })

  it.each([
    ['a string', `const a = "// ${form}"\n`],
    ['a template', `const a = \`/* ${form} */ // ${form}\`\n`],
    ['a regular expression', `const a = /[/]* ${form}/\n`],
  ])('is not found in %s', (_, source) => {
    expect(textsIn(source)).toEqual([])
  })
})

it.each(forms.filter((form) => form.includes(' ')))('finds "%s" across lines', (form) => {
  const [first, ...rest] = form.split(' ')
  expect(textsIn(`/**\n * It ${first}\n * ${rest.join(' ')} a.\n */\n`)).toContain(form)
  expect(textsIn(`// It ${first}\n  // ${rest.join(' ')} a.\n`)).toContain(form)
})

it('finds no phrase in names and in longer words', () => {
  expect(
    textsIn('const nobody = 1\nfunction whoever(told = nobody) {}\n// is nonetheless told, whatever came first\n'),
  ).toEqual([])
})

it.each([
  'Returns `undefined` if there is none.',
  'The policy is none of the three.',
  'What is no longer open is dropped.',
  'Two tokens cannot be told apart.',
  'auth.method is `none`.',
])('accepts "%s"', (sentence) => {
  expect(textsIn(`/** ${sentence} */\n`)).toEqual([])
})

it('does not join a comment with one after code or after an empty line', () => {
  expect(textsIn('// what\nconst a = 1\n// came\n\n// what\n\n// came\n')).toEqual([])
})

it('names the line on which a phrase begins, and what to write instead', () => {
  const [finding] = findings('a.ts', 'const a = 1\n/**\n * Closes.\n * It lets\n * go of the socket.\n */\n')
  expect(finding).toEqual({ line: 4, text: 'lets go of', instead: 'write "release", "drop" or "close"' })
})

it('throws for a source that cannot be parsed', () => {
  expect(() => findings('a.ts', 'const = // whoever')).toThrow(/^a\.ts: /)
})
