/** Starts `oriel mcp` as an MCP client does: with the official client, over stdio. */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { cliFile } from './cli.ts'

/** The program of a client that passes all on, to be killed without ending what it started. */
const RELAY = `
  const { spawn } = require('node:child_process')
  const server = spawn(process.execPath, process.argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  process.stdin.pipe(server.stdin)
  server.stdout.pipe(process.stdout)
`

export interface ToolResult {
  /** The texts of the result. */
  readonly text: string
  readonly isError: boolean
  /** The decoded images. */
  readonly images: readonly Buffer[]
}

export interface McpSession extends AsyncDisposable {
  readonly client: Client
  /** Calls a tool. Rejects for an error of the protocol, such as an unknown tool. */
  call(name: string, args?: Record<string, unknown>): Promise<ToolResult>
  /** The errors of the transport, such as a line on stdout that is no message. */
  readonly errors: readonly Error[]
  /** What the server has logged. */
  logged(): string
  /** Kills the client's end with SIGKILL. */
  kill(): void
}

/** Starts the server and connects. */
export async function startMcp(args: readonly string[], env: Record<string, string>): Promise<McpSession> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['-e', RELAY, cliFile, 'mcp', ...args],
    env: { ...env, HOME: '/nonexistent' },
    stderr: 'pipe',
  })
  let log = ''
  transport.stderr!.on('data', (more: Buffer) => {
    log += more
  })
  const client = new Client({ name: 'test', version: '1.0.0' })
  const errors: Error[] = []
  client.onerror = (error) => void errors.push(error)
  await client.connect(transport)
  const { pid } = transport
  return {
    ...{ client, errors },
    logged: () => log,
    async call(name, args = {}) {
      const { content, isError = false } = await client.callTool({ name, arguments: args }, { timeout: 120_000 })
      const text = content.flatMap((item) => (item.type === 'text' ? [item.text] : [])).join('\n')
      const images = content.flatMap((item) => (item.type === 'image' ? [Buffer.from(item.data, 'base64')] : []))
      return { text, isError, images }
    },
    kill: () => void process.kill(pid!, 'SIGKILL'),
    [Symbol.asyncDispose]: () => client.close(),
  }
}
