import { describe, expect, it } from 'vitest'
import { EARLIEST, LATEST, minor, negotiate, versionHeaders } from '../src/index.ts'

const afterLatest = `2.${minor(LATEST) + 1}`

const malformed = (text: string) => ({
  status: 400,
  message: `API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`,
})
const unsupported = (asked: string) => ({
  status: 406,
  message: `Version ${asked} is not supported by the API. Minimum is ${EARLIEST} and maximum is ${LATEST}.`,
  asked,
})

describe('the standard header', () => {
  it.each([
    ['compute 2.6', '2.6'],
    ['compute latest', LATEST],
    [`compute ${LATEST}`, LATEST],
    ['Compute 2.6', '2.6'],
    [' compute \t 2.6 ', '2.6'],
    ['compute 2.6, compute 2.8', '2.8'],
    ['compute banana, compute 2.6', '2.6'],
    ['compute 2.6, compute', '2.6'],
    ['compute 2.6, identity 3.0', '2.6'],
  ])('%j asks for %s', (standard, microversion) => {
    expect(negotiate({ standard })).toEqual({ microversion })
  })

  it.each(['identity 3.0', '2.6', 'latest', 'compute', 'compute=2.6', 'compute:2.6', '"compute 2.6"', ',', ''])(
    '%j is as if absent',
    (standard) => {
      expect(negotiate({ standard })).toEqual({ microversion: '2.1' })
      expect(negotiate({ standard, legacy: '2.8' })).toEqual({ microversion: '2.8' })
    },
  )

  it.each(['banana', 'LATEST', '2', '2.', '2.06', '02.6', '0.6', 'v2.6', '2.6.1', '2.6 extra'])(
    'refuses %j as malformed',
    (text) => expect(negotiate({ standard: `compute ${text}` })).toEqual(malformed(text)),
  )

  it.each(['2.0', afterLatest, '1.1', '3.1', '2.99999999999999999999'])('refuses %s as unsupported', (text) => {
    expect(negotiate({ standard: `compute ${text}` })).toEqual(unsupported(text))
  })

  it('takes precedence over the legacy header if it has a version, valid or not', () => {
    expect(negotiate({ standard: 'compute 2.6', legacy: 'banana' })).toEqual({ microversion: '2.6' })
    expect(negotiate({ standard: 'compute banana', legacy: '2.6' })).toEqual(malformed('banana'))
  })
})

describe('the legacy header', () => {
  it.each([
    ['2.6', '2.6'],
    ['2.6, 2.8', '2.8'],
    ['latest', LATEST],
  ])('%j asks for %s', (legacy, microversion) => {
    expect(negotiate({ legacy })).toEqual({ microversion })
  })

  it.each([
    ['', ''],
    ['2.6,', ''],
    ['compute 2.6', 'compute 2.6'],
  ])('refuses %j as malformed', (legacy, text) => expect(negotiate({ legacy })).toEqual(malformed(text)))
})

it('gives 2.1 if both headers are absent', () => {
  expect(negotiate({})).toEqual({ microversion: '2.1' })
  expect(versionHeaders('2.1')).toEqual({
    'OpenStack-API-Version': 'compute 2.1',
    'X-OpenStack-Nova-API-Version': '2.1',
  })
})
