/** Starts on scripted database servers that are not ready yet or never will be. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { ConfigError, createLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { openTokenStore, StoreUnavailable } from '../../src/index.ts'

/** A MariaDB server that accepts every login, and answers each statement with this error. */
async function refusingMariadb(error: { code: number; state?: string; message: string }) {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.write(mariadbPacket(0, GREETING))
    let isIn = false
    socket.on('data', () => {
      socket.write(isIn ? mariadbPacket(1, mariadbError(error)) : mariadbPacket(2, OK))
      isIn = true
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `mysql://oriel:secret-password@127.0.0.1:${(server.address() as AddressInfo).port}/oriel`,
    [Symbol.dispose]: () => server.close(),
  }
}

// https://mariadb.com/docs/server/reference/clientserver-protocol

const mariadbPacket = (sequence: number, payload: Buffer) =>
  Buffer.concat([Buffer.from([payload.length & 0xff, payload.length >> 8, 0, sequence]), payload])
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0])
const mariadbError = ({ code, state = 'HY000', message }: { code: number; state?: string; message: string }) =>
  Buffer.concat([Buffer.from([0xff, code & 0xff, code >> 8]), Buffer.from(`#${state}${message}`)])
/** CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH. */
const CAPABILITIES = { low: [0x08, 0x82], high: [0x08, 0x00] }
const GREETING = Buffer.concat([
  Buffer.from([10]),
  Buffer.from('5.5.5-10.11.14-MariaDB\0'),
  Buffer.from([1, 0, 0, 0, ...Array(8).fill(0x41), 0, ...CAPABILITIES.low, 8, 2, 0, ...CAPABILITIES.high, 21]),
  Buffer.from([...Array(10).fill(0), ...Array(12).fill(0x42), 0]),
  Buffer.from('mysql_native_password\0'),
])

/** Answers every start of a connection with a fatal error, as PostgreSQL and PgBouncer write it. */
async function refusingPostgres(state: string, message: string) {
  const fields = Buffer.from(['SFATAL', `C${state}`, `M${message}`, '', ''].join('\0'))
  const head = Buffer.from([0x45, 0, 0, 0, 0])
  head.writeUInt32BE(fields.length + 4, 1)
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([head, fields])))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `postgres://oriel:secret-password@127.0.0.1:${(server.address() as AddressInfo).port}/oriel`,
    [Symbol.dispose]: () => server.close(),
  }
}

/** Starts with this deadline, aborts the start at its first log line, and returns its error and what it logged. */
async function failedStart(url: string, startTimeoutMs: number) {
  const lines: string[] = []
  const stop = new AbortController()
  const write = (line: string) => {
    lines.push(line)
    stop.abort()
  }
  const log = createLogger({ name: 'test', level: 'info', destination: { write } })
  const error = await openTokenStore(url, { startTimeoutMs, log, signal: stop.signal }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { error, records: lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('a database server that may become available', () => {
  test.each([
    [1047, 'WSREP has not yet prepared node for application use', '08S01'],
    [1290, 'The MariaDB server is running with the --read-only option so it cannot execute this statement'],
    [1792, 'Cannot execute statement in a READ ONLY transaction'],
    [1836, 'Running in read-only mode'],
    [1205, 'Lock wait timeout exceeded; try restarting transaction'],
  ])('is waited for until the deadline when MariaDB answers %i', async (code, message, state = 'HY000') => {
    using server = await refusingMariadb({ code, message, state })
    const { error } = await failedStart(server.url, 0)
    expect(error).toBeInstanceOf(StoreUnavailable)
    expect((error as Error).message).toContain(message)
    const { records } = await failedStart(server.url, 60_000)
    expect(records).toMatchObject([{ msg: 'waiting for the database', err: { message } }])
  })

  test.each([
    ['57P03', 'the database system is starting up'],
    ['25006', 'cannot execute CREATE TABLE in a read-only transaction'],
    ['53300', 'sorry, too many clients already'],
    ['08P01', 'server login has been failing, try again later (server_login_retry)'],
  ])('is waited for until the deadline when PostgreSQL answers %s', async (state, message) => {
    using server = await refusingPostgres(state, message)
    const { error } = await failedStart(server.url, 0)
    expect(error).toBeInstanceOf(StoreUnavailable)
    const { records } = await failedStart(server.url, 60_000)
    expect(records).toMatchObject([{ msg: 'waiting for the database', err: { message } }])
  })
})

describe('a database server with a permanent error', () => {
  test.each(['statement_timeout', 'options'])(
    'that is a pooler without the start-up parameter %s is reported as a fault that names it',
    async (parameter) => {
      using server = await refusingPostgres('08P01', `unsupported startup parameter: ${parameter}`)
      const { error, records } = await failedStart(server.url, 60_000)
      expect(error).toBeInstanceOf(ConfigError)
      const [fault] = (error as ConfigError).faults
      expect(fault?.path).toBe('tokens.store')
      expect(fault?.message).toContain(`the pooler refuses ${parameter}: set ignore_startup_parameters = ${parameter}`)
      expect(fault?.message).toContain('idle_in_transaction_session_timeout')
      expect(fault?.message).not.toContain('secret-password')
      expect(records).toEqual([])
    },
  )

  test.each([
    ['28P01', 'password authentication failed for user "oriel"'],
    ['3D000', 'database "oriel" does not exist'],
    ['08P01', 'no such database: oriel'],
  ])('%s ends the start of PostgreSQL at once', async (state, message) => {
    using server = await refusingPostgres(state, message)
    expect((await failedStart(server.url, 60_000)).error).toBeInstanceOf(ConfigError)
  })

  test.each([
    [1045, "Access denied for user 'oriel'@'localhost'"],
    [1049, "Unknown database 'oriel'"],
    [1043, 'Bad handshake', '08S01'],
  ])('%i ends the start of MariaDB at once', async (code, message, state = 'HY000') => {
    using server = await refusingMariadb({ code, message, state })
    expect((await failedStart(server.url, 60_000)).error).toBeInstanceOf(ConfigError)
  })
})
