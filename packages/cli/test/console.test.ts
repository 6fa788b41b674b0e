/** The sentences for the end of a console. */
import { closeReasons, refusalClose } from '@oriel/contract'
import { expect, it } from 'vitest'
import { meaningOf } from '../src/console/dial.ts'

it('has a sentence for every close code, and calls only 1000 normal', () => {
  for (const { code, text } of Object.values(closeReasons)) {
    const meaning = meaningOf(code, text)
    expect(meaning.isNormal).toBe(code === 1000)
    if (code !== 1000) expect(meaning.text).toContain(text)
  }
})

it('reads a refusal, and says what to do', () => {
  const { code, reason } = refusalClose('unknown_token')
  expect(meaningOf(code, reason).text).toBe(
    'This console address is not valid or not valid any more. Ask for a new console. Run the command again.',
  )
  expect(meaningOf(1006, '').text).toBe('The connection to the console broke. Run the command again.')
})
