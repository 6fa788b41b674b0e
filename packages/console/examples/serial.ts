import { openSerial } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromClouds } from '@oriel/sdk/node'

const client = createClient(fromClouds({ cloud: 'prod' }))

/** Signs in at the serial console of a server, and returns how long it has been up. */
export async function uptime(serverId: string, password: string): Promise<string> {
  await using serial = await openSerial(client, serverId)
  await serial.sendLine()
  await serial.expect(/login: $/, { timeoutMs: 120_000 })
  await serial.sendLine('root')
  await serial.expect('Password: ')
  await serial.sendLine(password)
  await serial.expect(/# $/)
  await serial.sendLine('uptime -p')
  return (await serial.expect(/^up .*$/m)).text
}
