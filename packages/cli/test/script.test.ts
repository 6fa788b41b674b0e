/** Scripts of `oriel run`, and the expressions of `oriel wait`. */
import { describe, expect, it } from 'vitest'
import { Failure } from '../src/failure.ts'
import { patternOf } from '../src/screen/pattern.ts'
import { checkStills, checkTexts, readScript } from '../src/screen/script.ts'

const actionOf = (line: string) => {
  const [step] = readScript(line, { PASSWORD: 'secret' })
  const { line: _, source: __, ...action } = step!
  return action
}

describe('patternOf', () => {
  it.each([
    ['login:$', /login:$/m],
    ['/LOGIN/i', /LOGIN/i],
    ['/etc', /\/etc/m],
    ['a/b/c', /a\/b\/c/m],
  ])('reads %s', (text, pattern) => {
    expect(patternOf(text)).toEqual(pattern)
  })

  it.each(['(', '/x/q'])('refuses %s', (text) => {
    expect(() => patternOf(text)).toThrow(/^.* is not a regular expression \(.*\)\. Put \\ before a sign/)
  })
})

describe('readScript', () => {
  it.each([
    ['wait login:$', { does: 'wait', pattern: /login:$/m }],
    ['still', { does: 'still', quietMs: 1000 }],
    ['still 0.5', { does: 'still', quietMs: 500 }],
    ['type root', { does: 'type', text: 'root' }],
    ['type two words', { does: 'type', text: 'two words' }],
    ['type a\u2028b', { does: 'type', text: 'a\u2028b' }],
    ['type "root\\n "', { does: 'type', text: 'root\n ' }],
    ['type-env PASSWORD', { does: 'type', text: 'secret' }],
    ['press Control+Alt+F2  Enter', { does: 'press', keys: ['Control+Alt+F2', 'Enter'] }],
    ['pause 2', { does: 'pause', ms: 2000 }],
    ['screenshot a b.png', { does: 'screenshot', file: 'a b.png' }],
    ['timeout 120', { does: 'timeout', ms: 120_000 }],
    ['layout de', { does: 'layout', name: 'de' }],
  ])('reads %s', (line, action) => {
    expect(actionOf(line)).toEqual(action)
  })

  it('skips comments and blank lines, and keeps the numbers of lines', () => {
    const steps = readScript('# start\r\n\r\n  press Enter\r\n# end\r\npause 1', {})
    expect(steps.map(({ line, source }) => [line, source])).toEqual([
      [3, 'press Enter'],
      [5, 'pause 1'],
    ])
  })

  it('lists every mistake with its line', () => {
    const mistakes = [
      'wiat x',
      'type',
      'press Entr',
      'pause soon',
      'layout qq',
      'wait (',
      'type-env MISSING',
      'type "x',
    ]
    const script = mistakes.join('\n')
    const read = () => readScript(script, {})
    expect(read).toThrow('The script has mistakes:\n  line 1: there is no step wiat. Did you mean wait?')
    for (const message of [
      'line 2: needs a text: type root, or type "root\\n"',
      'line 3: ',
      'line 4: needs a number of seconds from 0 to 86400',
      'line 5: there is no layout qq. There are be,',
      'line 6: ( is not a regular expression',
      'line 7: the variable MISSING is not set',
      'line 8: "x is not a text in quotes',
    ])
      expect(read).toThrow(message)
  })

  it('refuses a script without steps', () => {
    expect(() => readScript('# nothing', {})).toThrow('The script has no steps. There are wait, still, type,')
  })
})

describe('checkTexts', () => {
  it('names the line of each text that the layout before it lacks', async () => {
    const steps = readScript('type ü\nlayout de\ntype ü\nlayout us\npress Enter\ntype-env NAME', { NAME: 'ß' })
    await expect(checkTexts(steps)).rejects.toThrow(
      /^The script has mistakes:\n {2}line 1: The keyboard layout us cannot type "ü".*\n {2}line 6: .*"ß".*$/,
    )
  })

  it('accepts texts that their layouts can type', async () => {
    await expect(checkTexts(readScript('type a\nlayout de\ntype ü', {}))).resolves.toBeUndefined()
  })
})

it('lists the steps of a script that wait for stillness longer than they may take', () => {
  const steps = readScript('still 2\nstill 60\ntimeout 2\nstill 1.9\nstill 2\ntimeout 3\nstill 2', {})
  expect(() => checkStills(steps, 60_000)).toThrow(
    new Failure(
      'usage',
      'The script has mistakes:\n  line 2: still 60 cannot succeed within the timeout of 60 seconds\n' +
        '  line 5: still 2 cannot succeed within the timeout of 2 seconds',
    ),
  )
})
