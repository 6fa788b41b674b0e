/** Appends the output of a serial console to a file for as long as the server exists: node serial-log.ts SERVER_ID FILE */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { openSerial } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

const [serverId, file] = process.argv.slice(2) as [string, string]
const client = createClient(fromEnvironment())
await using serial = await openSerial(client, serverId, { reconnect: true, reconnectWindowMs: Infinity })
console.log(`logging to ${file}`)
await pipeline(serial.readable, createWriteStream(file, { flags: 'a', mode: 0o600 }))
