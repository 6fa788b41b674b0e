/** The hint at the size of the terminal. */
import { afterEach, expect, it, vi } from 'vitest'
import { sizeHint } from '../src/serial/terminal.ts'

afterEach(() => vi.unstubAllGlobals())

it.each([
  [{ columns: 132, rows: 43 }, 'The machine does not know the size of this terminal: stty rows 43 cols 132'],
  [{ columns: 0, rows: 0 }, undefined],
  [{}, undefined],
])('gives the command that sets the size of a terminal with %j', (stdout, hint) => {
  vi.stubGlobal('process', { ...process, stdout })
  expect(sizeHint()).toBe(hint)
})
