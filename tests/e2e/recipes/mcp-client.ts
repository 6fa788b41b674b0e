/** Looks at a screen through the MCP server of mcp.json: node mcp-client.ts SERVER PICTURE */
import { readFile, writeFile } from 'node:fs/promises'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'

const [server, picture] = process.argv.slice(2) as [string, string]
const { mcpServers } = JSON.parse(await readFile('mcp.json', 'utf8'))
const { command, args, env } = mcpServers.oriel
const client = new Client({ name: 'look', version: '1.0.0' })
await client.connect(new StdioClientTransport({ command, args, env: { ...process.env, ...env } }))

const call = (name: string, more: object = {}) => client.callTool({ name, arguments: { server, ...more } })
const results = [await call('wait_for_text', { pattern: 'login:$', timeout_seconds: 60 }), await call('screenshot')]
for (const { content } of results) {
  for (const item of content) {
    if (item.type === 'text') console.log(item.text)
    if (item.type === 'image') await writeFile(picture, Buffer.from(item.data, 'base64'))
  }
}
await client.close()
