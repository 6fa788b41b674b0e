/** The sentences of the commands after the loss of the connection to a screen. */
import { type ConsoleCreator, type Screen, type TypeOptions, WaitTimeout } from '@oriel/console'
import { Conflict, ConnectionError } from '@oriel/sdk'
import { expect, it } from 'vitest'
import { creatorOf } from '../src/cloud/create-console.ts'
import { explained } from '../src/screen/timeout.ts'
import { typeText } from '../src/screen/type.ts'

const screenshot = { width: 720, height: 400, rgba: new Uint8Array(), png: () => new Uint8Array() }
const text = { lines: ['Loading', ''], grid: undefined, font: undefined, toString: () => 'Loading' }
const lost = new ConnectionError('network', 'The connection to the console at http://h broke (WebSocket code 1006)')

it.each([
  [text, undefined, 'timeout', 'The screen did not show /x/ within 5 ms. On the screen is:\nLoading'],
  [
    text,
    lost,
    'failed',
    'The screen did not show /x/ within 5 ms, because its connection was lost: The connection to the console at http://h ' +
      'broke (WebSocket code 1006). Before the loss, on the screen was:\nLoading',
  ],
  [
    undefined,
    new ConnectionError('network', 'Stopped.'),
    'failed',
    'The screen did not show /x/ within 5 ms, because its connection was lost: Stopped. ' +
      'The screen was 720×400; `oriel screenshot` shows it.',
  ],
] as const)('explains a wait that ended with the text %o and the loss %o', async (text, lost, exit, message) => {
  const late = new WaitTimeout('The screen did not show /x/ within 5 ms', screenshot, text, lost)
  await expect(explained(Promise.reject(late))).rejects.toMatchObject({ exit, message })
})

/** A screen whose connection breaks after these reports. */
const breaking = (...reports: { sent: number; taken: number; total: number }[]) =>
  ({
    async type(_: string, { onTyped }: TypeOptions) {
      for (const report of reports) onTyped!(report)
      throw lost
    },
  }) as unknown as Screen

it.each([
  [[], 'broke (WebSocket code 1006)'],
  [
    [
      { sent: 5, taken: 0, total: 9 },
      { sent: 9, taken: 5, total: 9 },
    ],
    'broke (WebSocket code 1006). Of 9 characters, at least 5 and at most 9 arrived. ' +
      'Look at the screen before you type the rest.',
  ],
  [[{ sent: 9, taken: 9, total: 9 }], 'Of 9 characters, 9 arrived. Look at the screen before you type the rest.'],
])('says after the reports %j how much of a text has arrived', async (reports, sentence) => {
  await expect(typeText(breaking(...reports), 'text', {})).rejects.toThrow(sentence)
})

it('explains the failure of the first console alone, so that the next attempt knows of a machine that restarts', async () => {
  const fault = { operation: 'createConsole', requestId: undefined, key: undefined, retryAfterSeconds: undefined }
  const createConsole = () => Promise.reject(new Conflict('Instance is not ready', { ...fault, status: 409 }))
  const server = { id: '1', name: 'web-1', status: 'SHUTOFF' }
  const creator: ConsoleCreator = creatorOf({ client: { createConsole } } as never, server, 'novnc')
  await expect(creator.createConsole('1', 'novnc')).rejects.toThrow('web-1 has no console now: it is SHUTOFF.')
  await expect(creator.createConsole('1', 'novnc')).rejects.toThrow(Conflict)
})
