/** Starts an entry of the GRUB menu: node grub.ts SERVER_ID 'Debian GNU/Linux (recovery mode)' */
import { openScreen } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

const [serverId, entry] = process.argv.slice(2) as [string, string]
const client = createClient(fromEnvironment())
await using screen = await openScreen(client, serverId, { reconnect: true })

// GRUB draws a star before the selected entry.
const { screen: menu, row } = await screen.waitForText(entry, { timeoutMs: 120_000 })
const selected = menu.lines.findIndex((line) => line.includes('*'))
const key = row > selected ? 'ArrowDown' : 'ArrowUp'
await screen.press(...Array.from({ length: Math.abs(row - selected) }, () => key))
await screen.waitForText(`*${entry}`)
await screen.press('Enter')
console.log(`started ${entry}`)
