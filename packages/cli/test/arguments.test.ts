/** The parser of the command line, its suggestions, and completion without an API. */
import { openableConsoleTypes } from '@oriel/contract'
import { expect, it } from 'vitest'
import { candidates } from '../src/arguments/complete.ts'
import { helpOf, overview } from '../src/arguments/help.ts'
import { nearest } from '../src/arguments/nearest.ts'
import { globalOptions } from '../src/arguments/options.ts'
import { commandAt, millisecondsOf, parse } from '../src/arguments/parse.ts'
import { commandNames, commands } from '../src/commands/index.ts'
import { run } from '../src/run.ts'

const options = { ...globalOptions, ...commands.url.options }

it('finds the command behind global options and their values', () => {
  expect(commandAt(['--os-cloud', 'url', 'serial', 'web-1'])).toBe(2)
  expect(commandAt(['--json', 'url'])).toBe(1)
  expect(commandAt(['--version'])).toBe(-1)
})

it('parses options before, between and after words, and words after --', () => {
  const { values, words } = parse(['--json', 'a', '--type=serial', '--', '--b'], options)
  expect({ ...values }).toEqual({ json: true, type: 'serial' })
  expect(words).toEqual(['a', '--b'])
})

it.each([
  [['--jsn'], 'There is no option --jsn. Did you mean --json?'],
  [['-x'], 'There is no option -x. Put -- before an argument that begins with -.'],
  [['--type'], '--type needs a value: --type TYPE.'],
  [['--json=yes'], '--json takes no value.'],
  [['--type', 'vnc'], `--type vnc is not known; choose ${openableConsoleTypes.join(', ')}.`],
  [['--type', 'v'.repeat(5000)], `--type ${'v'.repeat(80)}… is not known;`],
  [[`--${'o'.repeat(5000)}`], `There is no option --${'o'.repeat(78)}….`],
])('refuses %j', (argv, message) => {
  expect(() => parse(argv, options)).toThrow(message)
})

it.each(['0', '-1', 'x', '', '86401', 'Infinity'])('refuses a timeout of "%s" seconds', (text) => {
  expect(() => millisecondsOf('timeout', text, 30)).toThrow(`--timeout ${text} is not a number of seconds`)
})

it('suggests the nearest names, and none that is far', () => {
  expect(nearest('web-2', ['db-1', 'web-1', 'mail'])).toEqual(['web-1'])
  expect(nearest('web', ['production-web-1', 'mail'])).toEqual(['production-web-1'])
  expect(nearest('xyzzy', ['db-1', 'web-1'], 3)).toEqual([])
})

it('prints help of at most 120 columns, with a line for each option', () => {
  const texts = [overview(), ...commandNames.map((name) => helpOf(name, commands[name]))]
  for (const line of texts.join('\n').split('\n')) expect(line.length, line).toBeLessThanOrEqual(120)
  for (const name of commandNames) {
    for (const option of Object.keys(commands[name].options))
      expect(helpOf(name, commands[name])).toContain(`--${option}`)
  }
})

it.each([
  [['se'], ['servers', 'serial', 'sessions']],
  [['serv'], ['servers']],
  [['--os'], ['--os-cloud']],
  [
    ['url', 'x', '--t'],
    ['--token', '--timeout', '--type'],
  ],
  [
    ['url', 'x', '--type', 's'],
    ['spice-html5', 'spice-direct', 'serial'],
  ],
  [
    ['--json', 'completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['sessions', 'e'], ['end']],
  [['nonsense', ''], []],
  [['servers', ''], []],
])('completes %j', async (words, found) => {
  expect((await candidates(words)).toSorted()).toEqual(found.toSorted())
})

it.each([
  ['wait web-1 --still 5 --timeout 2', '--still 5 cannot succeed within --timeout 2. Raise --timeout above it.'],
  ['wait web-1 --still 60', '--still 60 cannot succeed within --timeout 60. Raise --timeout above it.'],
  [
    'serial web-1 --follow --linger 3',
    '--follow stays after the end of the input, --linger leaves then. Choose one of them.',
  ],
])('refuses the options of oriel %s before it signs in', async (line, message) => {
  await expect(run(line.split(' '))).rejects.toMatchObject({ exit: 'usage', message })
})
