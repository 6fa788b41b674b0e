/** The tools that send nothing to a machine. */
import type { McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { listServers } from '../cloud/servers.ts'
import { echoed, plain } from '../output.ts'
import { patternOf } from '../screen/pattern.ts'
import { explained } from '../screen/timeout.ts'
import { answering, textResult } from './answer.ts'
import type { Consoles } from './consoles.ts'
import { pattern, server, timeoutSeconds } from './inputs.ts'
import { SerialReader } from './serial-reader.ts'

const annotations = { readOnlyHint: true, openWorldHint: true }
/** A longer list fills the context of a model. */
const MAX_LISTED = 200
const MAX_READ_CHARS = 50_000

/** Registers the tools that send nothing to a machine. */
export function addLookingTools(mcp: McpServer, consoles: Consoles): void {
  addServerList(mcp, consoles)
  addScreenTools(mcp, consoles)
  addSerialRead(mcp, consoles)
}

function addServerList(mcp: McpServer, { cloud }: Consoles): void {
  const containing = z.string().max(255).optional().describe('Only servers whose name or id contains this text')
  mcp.registerTool(
    'list_servers',
    {
      ...{ title: 'List servers', annotations },
      description: `Lists virtual machines: id, name and status, as JSON. At most ${MAX_LISTED}.`,
      inputSchema: z.object({ containing }),
    },
    answering('list_servers', async ({ containing = '' }) => {
      const all = await listServers(cloud.client)
      const fitting = all.filter(({ id, name }) => id.includes(containing) || name.includes(containing))
      const servers = fitting.slice(0, MAX_LISTED).map(({ name, ...rest }) => ({ ...rest, name: plain(name) }))
      const left = fitting.length - servers.length
      return textResult(JSON.stringify({ servers, ...(left > 0 && { left_out: left }) }, null, 1))
    }),
  )
}

function addScreenTools(mcp: McpServer, consoles: Consoles): void {
  mcp.registerTool(
    'screenshot',
    {
      ...{ title: 'Take a screenshot', annotations },
      description: 'Returns the screen of a server as a PNG image. For a text console read_text is smaller and exact.',
      inputSchema: z.object({ server }),
    },
    answering('screenshot', ({ server }) =>
      consoles.onScreen(server, async (screen, { name }) => {
        const picture = await screen.screenshot()
        const data = Buffer.from(picture.png()).toString('base64')
        const size = textResult(`The screen of ${echoed(name)}, ${picture.width}×${picture.height} pixels.`)
        return { content: [{ type: 'image', data, mimeType: 'image/png' }, ...size.content] }
      }),
    ),
  )
  mcp.registerTool(
    'read_text',
    {
      ...{ title: 'Read the screen', annotations },
      description:
        'Returns the text on the screen of a server, exactly: of BIOS, boot menus and text consoles. \ufffd is an unreadable character. A graphical desktop has no such text: use screenshot.',
      inputSchema: z.object({ server }),
    },
    answering('read_text', ({ server }) =>
      consoles.onScreen(server, async (screen) =>
        textResult(String(await screen.text()) || 'No text can be read on the screen. Use screenshot to look at it.'),
      ),
    ),
  )
  mcp.registerTool(
    'wait_for_text',
    {
      ...{ title: 'Wait for a text', annotations },
      description:
        'Waits until the screen of a server shows a text, and returns all of the screen then. Looks when the screen changes, also across a restart of the machine.',
      inputSchema: z.object({ server, pattern, timeout_seconds: timeoutSeconds(30) }),
    },
    answering('wait_for_text', ({ server, pattern, timeout_seconds }, signal) => {
      const wanted = patternOf(pattern)
      return consoles.onScreen(server, async (screen) => {
        const options = { timeoutMs: timeout_seconds * 1000, signal }
        const { text, screen: all } = await explained(screen.waitForText(wanted, options))
        return textResult(`Found: ${text}\nOn the screen is:\n${all}`)
      })
    }),
  )
}

function addSerialRead(mcp: McpServer, consoles: Consoles): void {
  const reader = new SerialReader()
  const until = pattern.optional().describe(`Wait until the output contains this. ${pattern.description}`)
  const maxChars = z.int().min(1).max(MAX_READ_CHARS).default(10_000).describe('The most characters, the latest')
  mcp.registerTool(
    'serial_read',
    {
      ...{ title: 'Read the serial console', annotations },
      description:
        'Returns the output of the serial console of a server since the last call, as plain text. Without new output it waits for some. With `until` it waits for this text, and keeps the output after it for the next call.',
      inputSchema: z.object({ server, until, max_chars: maxChars, timeout_seconds: timeoutSeconds(5) }),
    },
    answering('serial_read', ({ server, until, max_chars, timeout_seconds }, signal) => {
      const wanted = until === undefined ? undefined : patternOf(until)
      return consoles.onSerial(server, async (serial) =>
        textResult(
          await reader.read(serial, { until: wanted, maxChars: max_chars, timeoutMs: timeout_seconds * 1000, signal }),
        ),
      )
    }),
  )
}
