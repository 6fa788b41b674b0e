/** The tools that send input to a machine. */

import type { McpServer } from '@modelcontextprotocol/server'
import { type LayoutName, layoutNames } from '@oriel/console'
import * as z from 'zod'
import { Failure } from '../failure.ts'
import { echoed } from '../output.ts'
import { checkKeys } from '../screen/script.ts'
import { typeText } from '../screen/type.ts'
import { answering, textResult } from './answer.ts'
import type { Consoles } from './consoles.ts'
import { enter, server } from './inputs.ts'

const annotations = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true }
/** A terminal of Linux takes lines of 4,095 characters; typing 4,000 takes two minutes. */
const MAX_TYPED_CHARS = 4000
const LOOK = 'The screen shows the effect: use wait_for_text or screenshot.'

/** Registers the tools that send input to a machine. */
export function addInputTools(mcp: McpServer, consoles: Consoles): void {
  addKeyboardTools(mcp, consoles)
  addClick(mcp, consoles)
  addSerialSend(mcp, consoles)
}

function addKeyboardTools(mcp: McpServer, consoles: Consoles): void {
  const layout = z
    .enum(layoutNames as [LayoutName, ...LayoutName[]])
    .default('us')
    .describe('The layout of the keyboard in the guest')
  const text = z.string().max(MAX_TYPED_CHARS).describe('The text; \\n is the Enter key')
  mcp.registerTool(
    'type',
    {
      ...{ title: 'Type a text', annotations },
      description: `Types a text on the keyboard of a server, and returns once the machine has taken it. ${LOOK}`,
      inputSchema: z.object({ server, text, enter, layout }),
    },
    answering('type', ({ server, text, enter, layout }, signal) => {
      const whole = text + (enter ? '\n' : '')
      if (whole === '') throw new Failure('usage', 'There is no text to type. Give a text, or set enter.')
      return consoles.onScreen(server, async (screen) => {
        await typeText(screen, whole, { layout, signal })
        return textResult(`Typed ${[...whole].length} characters. ${LOOK}`)
      })
    }),
  )
  const keys = z
    .array(z.string().min(1).max(100))
    .min(1)
    .max(50)
    .describe('Keys to press one after the other: Escape, F12, ArrowUp, a character, or Control+Alt+Delete')
  mcp.registerTool(
    'press',
    {
      ...{ title: 'Press keys', annotations },
      description: `Presses keys of the keyboard of a server. ${LOOK}`,
      inputSchema: z.object({ server, keys }),
    },
    answering('press', ({ server, keys }) => {
      checkKeys(keys)
      return consoles.onScreen(server, async (screen) => {
        await screen.press(...keys)
        return textResult(`Pressed ${keys.join(', ')}. ${LOOK}`)
      })
    }),
  )
}

function addClick(mcp: McpServer, consoles: Consoles): void {
  const [x, y] = [pixel('From the left edge of the screenshot'), pixel('From its upper edge')]
  const button = z.enum(['left', 'middle', 'right']).default('left')
  const count = z.int().min(1).max(3).default(1).describe('2 for a double click')
  mcp.registerTool(
    'click',
    {
      ...{ title: 'Click', annotations },
      description: `Moves the pointer of a server and clicks. The point is in pixels of the screenshot. ${LOOK}`,
      inputSchema: z.object({ server, x, y, button, count }),
    },
    answering('click', ({ server, x, y, ...options }) =>
      consoles.onScreen(server, async (screen) => {
        const { width, height } = screen
        if (x >= width || y >= height)
          throw new Failure('usage', `${x},${y} is not on the screen of ${width}×${height} pixels. Take a screenshot.`)
        await screen.click(x, y, options)
        return textResult(`Clicked at ${x},${y}. ${LOOK}`)
      }),
    ),
  )
}

const pixel = (description: string) => z.int().min(0).max(65_535).describe(description)

function addSerialSend(mcp: McpServer, consoles: Consoles): void {
  const text = z
    .string()
    .max(MAX_TYPED_CHARS)
    .describe('The text; control characters are sent as they are, \\u0003 is Ctrl-C')
  mcp.registerTool(
    'serial_send',
    {
      ...{ title: 'Send to the serial console', annotations },
      description: 'Sends a text to the serial console of a server. serial_read returns the answer.',
      inputSchema: z.object({ server, text, enter }),
    },
    answering('serial_send', ({ server, text, enter }) => {
      const whole = text + (enter ? '\r' : '')
      if (whole === '') throw new Failure('usage', 'There is no text to send. Give a text, or set enter.')
      return consoles.onSerial(server, async (serial, { name }) => {
        await serial.send(whole)
        return textResult(`Sent ${[...whole].length} characters to ${echoed(name)}. Use serial_read for the answer.`)
      })
    }),
  )
}
