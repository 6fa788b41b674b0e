/** The keys that control `oriel serial`, byte by byte. */
import { expect, it } from 'vitest'
import { EscapeKeys } from '../src/serial/escape-keys.ts'

const CTRL_RIGHT_BRACKET = '\u001d'

it.each([
  ['text', 'ls -l\r', 'ls -l\r', false, false],
  ['every byte but the keys', '\u0000\u0003\u0004\u001b[A\u00ff', '\u0000\u0003\u0004\u001b[A\u00ff', false, false],
  ['Ctrl-] inside a line', `ls${CTRL_RIGHT_BRACKET}rest`, 'ls', true, false],
  ['~. at the start', '~.rest', '', true, false],
  ['~. after CR', 'ls\r~.rest', 'ls\r', true, false],
  ['~. after LF', 'ls\n~.', 'ls\n', true, false],
  ['~. inside a line', 'cp ~.bak x\r', 'cp ~.bak x\r', false, false],
  ['~. after a backspace', '\b~.', '\b~.', false, false],
  ['~~ after Enter', '\r~~.\r', '\r~.\r', false, false],
  ['~~ inside a line', 'a~~', 'a~~', false, false],
  ['~ and another letter', '\r~/bin\r', '\r~/bin\r', false, false],
  ['~ and Enter, then ~.', '\r~\r~.', '\r~\r', true, false],
  ['~ and Ctrl-]', `\r~${CTRL_RIGHT_BRACKET}x`, `\r${CTRL_RIGHT_BRACKET}x`, false, false],
  ['~? and then ~.', '\r~?~.', '\r', true, true],
  ['a held ~', 'x\r~', 'x\r', false, false],
])('reads %s in one piece and byte by byte', (_, typed, sent, left, helped) => {
  expect(read([typed])).toEqual({ sent, left, helped })
  expect(read([...typed])).toEqual({ sent, left, helped })
})

function read(pieces: readonly string[]) {
  const keys = new EscapeKeys()
  const result = { sent: '', left: false, helped: false }
  for (const piece of pieces) {
    const { forward, leave, help } = keys.read(Buffer.from(piece, 'latin1'))
    result.sent += Buffer.from(forward).toString('latin1')
    result.helped ||= help
    result.left = leave
    if (leave) break
  }
  return result
}
