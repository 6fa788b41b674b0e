/** QEMU monitors that say what a test wants: what QEMU says, what it never would, or nothing. */
import { mkdtempDisposable } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export type Answers = Record<string, unknown>

export const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n'

/** A guest as QEMU 7.2 describes one with VNC, SPICE, and a serial port beside a monitor on TCP. */
export const guestAnswers = (changes: Answers = {}): Answers => ({
  qmp_capabilities: {},
  'query-uuid': { UUID: '52B2E44E-e561-464c-88f3-2fc6a1ecea2b' },
  'query-name': { name: 'web-1' },
  'query-status': { status: 'running', singlestep: false, running: true },
  'query-vnc': { enabled: true, auth: 'vnc', family: 'ipv4', clients: [], service: '5911', host: '0.0.0.0' },
  'query-spice': { enabled: false, migrated: false, 'mouse-mode': 'client' },
  'query-chardev': [
    { 'frontend-open': true, filename: 'disconnected:tcp:127.0.0.1:4444,server=on', label: 'compat_monitor1' },
    { 'frontend-open': true, filename: 'disconnected:tcp:127.0.0.1:10011,server=on', label: 'c' },
  ],
  'qom-list /machine/unattached': [
    { name: 'device[0]', type: 'child<qemu64-x86_64-cpu>' },
    { name: 'device[13]', type: 'child<isa-serial>' },
  ],
  'qom-list /machine/peripheral': [],
  'qom-list /machine/peripheral-anon': [],
  'qom-get /machine/unattached/device[13]': 'c',
  ...changes,
})

/** What QEMU says of a command that it does not have. */
export const NOT_FOUND = Symbol('CommandNotFound')
/** No answer at all. */
export const SILENCE = Symbol('silence')
/** An answer, or an error, whose content is this text. */
export class Raw {
  readonly member: 'return' | 'error'
  readonly json: string
  constructor(member: 'return' | 'error', json: string) {
    this.member = member
    this.json = json
  }
}

export interface FakeQemu extends AsyncDisposable {
  /** What it answers, by command; for those with a path, `command path`, and the property unless it is `chardev`. May be changed at any time. */
  readonly answers: Answers
  /** Commands that came, oldest first. */
  readonly asked: string[]
  /** Sends an event, or anything else, to the connected client. `ending` defaults to a line end. */
  send(text: string, ending?: string): void
  /** Closes the client's connection. */
  cut(): void
}

export interface FakeQemuOptions {
  readonly answers?: Answers
  readonly greeting?: string
  /** After so many bytes the connection is closed. Default: never. */
  readonly byteLimit?: number
  /** Each byte by itself. */
  readonly byteByByte?: boolean
  /** Blanks by which answers are indented, as with `-qmp-pretty`. Default: none, one line an answer. */
  readonly indent?: number
}

/** A folder for sockets, whose path is short enough for one. */
export const socketFolder = () => mkdtempDisposable(join(tmpdir(), 'qmp-'))

export async function fakeQemu(path: string, options: FakeQemuOptions = {}): Promise<FakeQemu> {
  const { answers = guestAnswers(), greeting = GREETING, indent = 0 } = options
  const sockets = new Set<Socket>()
  const asked: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    const write = writer(socket, options)
    write(greeting)
    createInterface({ input: socket })
      .on('line', (line) => {
        const { execute, id, arguments: args } = JSON.parse(line)
        const property = args.property === undefined || args.property === 'chardev' ? '' : ` ${args.property}`
        const command = args.path === undefined ? execute : `${execute} ${args.path}${property}`
        asked.push(command)
        write(replyTo(command, id, answers, indent))
      })
      // It passes the socket's errors on, such as that of an answer to a client that has disconnected.
      .on('error', () => {})
  })
  await listening(server, path)
  return {
    answers,
    asked,
    send: (text, ending = '\r\n') => {
      for (const socket of sockets) socket.write(text + ending)
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      for (const socket of sockets) socket.destroy()
      await closed.promise
    },
  }
}

function replyTo(command: string, id: number, answers: Answers, space: number): string {
  const answer = Object.hasOwn(answers, command) ? answers[command] : NOT_FOUND
  if (answer === SILENCE) return ''
  if (answer === NOT_FOUND) {
    return `${JSON.stringify({ id, error: { class: 'CommandNotFound', desc: `The command ${command} has not been found` } })}\r\n`
  }
  if (answer instanceof Raw) return `{"id": ${id}, "${answer.member}": ${answer.json}}\r\n`
  return `${JSON.stringify({ return: answer, id }, null, space)}\r\n`
}

function writer(socket: Socket, { byteLimit = Number.POSITIVE_INFINITY, byteByByte = false }: FakeQemuOptions) {
  let left = byteLimit
  socket.setNoDelay(true)
  return (text: string) => {
    if (!socket.writable) return
    const bytes = Buffer.from(text).subarray(0, left)
    left -= bytes.length
    if (byteByByte) for (const byte of bytes) socket.write(Buffer.of(byte))
    else socket.write(bytes)
    if (left === 0) socket.end()
  }
}

async function listening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen(path, resolve)
  await promise
}
