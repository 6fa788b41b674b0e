/** `oriel serial SERVER` */
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { textOf, type Values } from '../arguments/options.ts'
import { millisecondsOf } from '../arguments/parse.ts'
import { consoleOf } from '../cloud/create-console.ts'
import { findServer, type Server } from '../cloud/servers.ts'
import { type Cloud, signIn } from '../cloud/sign-in.ts'
import { type Connection, dial } from '../console/dial.ts'
import { Failure } from '../failure.ts'
import { echoed, say } from '../output.ts'
import { attach, type End } from '../serial/attach.ts'
import { connectionOf } from '../serial/follow.ts'
import { openSerialOf } from '../serial/open.ts'
import { enterRawMode, sizeHint } from '../serial/terminal.ts'
import { signalled } from '../signals.ts'
import type { Call } from './command.ts'

/** Connects the terminal, or a pipe, with a serial console until the user leaves or the console closes. */
export async function run({ words, values }: Call): Promise<number> {
  const lingerMs = lingerMsOf(values)
  const cloud = signIn(values)
  const log = await openLog(values)
  const { server, connection } = await open(cloud, words[0]!, values)
  const interactive = process.stdin.isTTY
  say(`connected to ${echoed(server.name)}.${interactive ? ` Ctrl-] leaves. ${sizeHint() ?? ''}` : ''}`)
  const restore = interactive ? enterRawMode() : () => {}
  try {
    const session = attach(connection, { interactive, lingerMs, log: log?.stream, onHelp: () => help(server.name) })
    const end = await Promise.race([session, signalled(), ...(log === undefined ? [] : [log.failed])])
    await connection.close()
    if (log !== undefined) await once(log.stream.end(), 'finish')
    restore()
    return typeof end === 'number' ? end : report(end)
  } finally {
    restore()
  }
}

function lingerMsOf(values: Values): number {
  if (!values.follow) return millisecondsOf('linger', textOf(values, 'linger'), 2)
  if (values.linger === undefined) return Number.POSITIVE_INFINITY
  throw new Failure('usage', '--follow stays after the end of the input, --linger leaves then. Choose one of them.')
}

/** With `--follow` the console is opened again; otherwise a slow reader of stdout slows the machine down. */
async function open(cloud: Cloud, wanted: string, values: Values): Promise<{ server: Server; connection: Connection }> {
  if (values.follow === undefined) {
    const { server, console } = await consoleOf(cloud, wanted, 'serial')
    return { server, connection: await dial(console.url, cloud) }
  }
  const server = await findServer(cloud.client, wanted)
  return { server, connection: connectionOf(await openSerialOf(cloud, server, { reconnect: true })) }
}

/** Opens the file before the console, so that a mistyped folder does not cost a session. */
async function openLog(values: Values): Promise<{ stream: WriteStream; failed: Promise<never> } | undefined> {
  const file = textOf(values, 'log')
  if (file === undefined) return undefined
  const stream = createWriteStream(file, { flags: 'a', mode: 0o600 })
  const failed = once(stream, 'error').then(([error]: Error[]) => {
    throw new Failure('usage', `${file} cannot be written: ${error!.message}. Choose another --log.`)
  })
  failed.catch(() => {})
  await Promise.race([new Promise((resolve) => stream.once('open', resolve)), failed])
  return { stream, failed }
}

function report(end: End): number {
  if (end.why !== 'closed') return 0
  if (!end.closed.isNormal) throw new Failure('failed', end.closed.text)
  say(end.closed.text)
  return 0
}

/** In raw mode a line needs its own CR. */
function help(name: string): void {
  const lines = [
    `You are at the serial console of ${echoed(name)}. After Enter:`,
    '  ~.       leaves, as does Ctrl-] at any time',
    '  ~~       sends ~',
    '  ~Ctrl-]  sends Ctrl-]',
    sizeHint() ?? '',
  ]
  process.stderr.write(`\r\n${lines.join('\r\n')}\r\n`)
}
