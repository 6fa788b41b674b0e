import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Type from 'typebox'
import { describe, expect, test, vi } from 'vitest'
import {
  ConfigError,
  type ConfigFault,
  listenOn,
  type ProgramOptions,
  runProgram,
  type StartContext,
  secretString,
} from '../src/index.ts'

/** It ends what hangs, and measures nothing. */
const PATIENT = { timeout: 15_000 }

const schema = Type.Object({
  ttl_seconds: Type.Integer({ minimum: 1, default: 5 }),
  token: Type.Optional(secretString()),
})
type Schema = typeof schema

/** A program with its own environment: its output, its exit code, and a way to signal it. */
function program(options: Partial<ProgramOptions<Schema>> = {}) {
  const signals = new EventEmitter()
  const out: string[] = []
  const err: string[] = []
  const exit = vi.fn<(code: number) => void>()
  const started = Promise.withResolvers<StartContext>()
  const world = {
    argv: [],
    env: {},
    exit,
    signals,
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
  }
  const done = runProgram<Schema>({
    name: 'oriel-test',
    schema,
    ...world,
    ...options,
    async start(config, context) {
      const running = await (options.start?.(config, context) ?? { async [Symbol.asyncDispose]() {} })
      started.resolve(context)
      return running
    },
  })
  const log = () => out.map((line) => JSON.parse(line))
  return { done, exit, signals, started: started.promise, log, out: () => out.join(''), err: () => err.join('') }
}

function configFile(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'oriel-runtime-'))
  const file = join(folder, 'test.toml')
  writeFileSync(file, text)
  return { file, folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

describe('arguments', () => {
  test('--help lists the common flags and the program’s own', async () => {
    const it = program({ argv: ['--help'], flags: { demo: 'add a demo guest' } })
    await it.done
    expect(it.out()).toMatch(
      /^Usage: oriel-test[\s\S]*--config FILE[\s\S]*--check-config[\s\S]*--demo +add a demo guest/,
    )
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('--version prints the version', async () => {
    const it = program({ argv: ['--version'], version: '1.2.3' })
    await it.done
    expect(it.out()).toBe('oriel-test 1.2.3\n')
  })

  test.each([
    ['--bogus', "Unknown option '--bogus'"],
    ['--config', "Option '--config <value>' argument missing"],
    ['file.toml', "Unexpected argument 'file.toml'"],
    ['--health --check-config', '--health and --check-config exclude each other'],
    ['--demo=yes', "Option '--demo' does not take an argument"],
  ])('%s is refused with 2 and one line that says what to do', async (argument, reason) => {
    const it = program({ argv: argument.split(' '), flags: { demo: '' } })
    await it.done
    expect(it.err()).toBe(`oriel-test: ${reason}; give --config FILE, and see --help for the rest\n`)
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
  })

  test.each([[[]], [['--check-config']]])(
    'without any configuration, although keys are required, exits with 2: %j',
    async (argv) => {
      const schema = Type.Object({ listen: Type.String() })
      const run = (env: Record<string, string>) => {
        const it = program({ argv, env: { ORIEL_LOG_LEVEL: 'info', ...env }, schema } as object)
        return it.done.then(() => it)
      }
      const it = await run({ ORIEL_API_SERVICE_HOST: '10.0.0.1' })
      expect(it.err()).toBe('oriel-test: no configuration is given; give --config FILE, and see --help for the rest\n')
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
      expect((await run({ ORIEL_LISTN: 'x' })).err()).toMatch(/^ORIEL_LISTN: .*\nlisten: missing, give text\n$/)
    },
  )

  test('flags of a program reach its start, and may select a built-in configuration', async () => {
    const seen: unknown[] = []
    const it = program({
      argv: ['--demo'],
      flags: { demo: 'x', other: 'y' },
      builtInConfig: (flags) => (flags.demo ? 'ttl_seconds = 7' : undefined),
      start: async (config, { flags }) => {
        seen.push(config.ttl_seconds, flags)
        return new AsyncDisposableStack()
      },
    })
    await it.started
    it.signals.emit('SIGTERM')
    await it.done
    expect(seen).toEqual([7, { demo: true, other: false }])
  })
})

describe('configuration', () => {
  test('--check-config prints "config ok" and starts nothing', async () => {
    using config = configFile('ttl_seconds = 9')
    const start = vi.fn()
    const it = program({ argv: ['--config', config.file, '--check-config'], start })
    await it.done
    expect([it.out(), it.err()]).toEqual(['config ok\n', ''])
    expect(start).not.toHaveBeenCalled()
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('--health prints one sentence, starts nothing, and exits with 0 or 1', async () => {
    const server = createServer((_, response) => response.end('{"status":"ok"}'))
    const address = await listenOn(server, { host: '127.0.0.1', port: 0 })
    const start = vi.fn()
    const ask = async (options: Partial<ProgramOptions<Schema>>) => {
      const it = program({ argv: ['--health'], start, ...options })
      await it.done
      return [it.out(), it.err(), it.exit.mock.calls]
    }
    const healthListener = () => ({ path: 'listen', address })
    expect(await ask({ healthListener })).toEqual([`oriel-test answers on ${address}\n`, '', [[0]]])
    server.closeAllConnections()
    server.close()
    const away = `oriel-test: listen: nothing listens on ${address}: the program is stopped, starting or stopping\n`
    expect(await ask({ healthListener })).toEqual(['', away, [[1]]])
    expect(await ask({})).toEqual(['', 'oriel-test: this program has no listener to ask\n', [[1]]])
    const bad = 'ttl_seconds: 0 is too small, give a number of 1 or more (from ORIEL_TTL_SECONDS)\n'
    const env = { ORIEL_TTL_SECONDS: '0' }
    expect(await ask({ healthListener, env })).toEqual(['', bad, [[1]]])
    expect(start).not.toHaveBeenCalled()
  })

  test('--check-config prints the records of describe', async () => {
    using config = configFile('ttl_seconds = 9')
    const describe = ({ ttl_seconds }: { ttl_seconds: number }) => [`tokens live for ${ttl_seconds} seconds`]
    const it = program({ argv: ['--config', config.file, '--check-config'], describe })
    await it.done
    const [record, last] = it.out().trimEnd().split('\n')
    expect(JSON.parse(record!)).toMatchObject({ level: 'info', msg: 'tokens live for 9 seconds' })
    expect([last, it.err()]).toEqual(['config ok', ''])
  })

  test.each([[[]], [['--check-config']]])(
    'prints every fault as a line on stderr and exits with 2: %j',
    async (more) => {
      using config = configFile('ttl_seconds = 0\ntokn = "hunter2"')
      const it = program({ argv: ['--config', config.file, ...more] })
      await it.done
      expect(it.err()).toBe(
        'ttl_seconds: 0 is too small, give a number of 1 or more\ntokn: unknown key, the nearest known key is token\n',
      )
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
    },
  )

  test('names the file of a syntax error', async () => {
    using config = configFile('ttl_seconds = "9\n')
    const it = program({ argv: ['--config', config.file] })
    await it.done
    const [first, ...more] = it.err().split('\n')
    expect(first).toMatch(`${config.file}: line 1, column 17: `)
    expect(more).toEqual(['  1 | ttl_seconds = "9', '    |                 ^', ''])
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
  })

  test('prints one line for a missing file or a folder, and exits with 2', async () => {
    using config = configFile('')
    for (const [file, reason] of [
      [`${config.file}x`, 'it does not exist'],
      [config.folder, 'it is a folder'],
    ] as const) {
      const it = program({ argv: ['--config', file] })
      await it.done
      expect(it.err()).toMatch(new RegExp(`^${file}: cannot read this file: ${reason}.*\n$`))
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
    }
  })

  test('resolves file names relative to its folder', async () => {
    using config = configFile('token_file = "test.toml"')
    const it = program({ argv: ['--config', config.file, '--check-config'] })
    await it.done
    expect(it.out()).toBe('config ok\n')
  })

  test('exits with 2 for faults of several keys and for those that the start finds', async () => {
    const fault = { path: 'token', message: 'cannot be used here' }
    const refused = program({ refine: () => [fault] })
    await refused.done
    const late = program({ start: () => Promise.reject(new ConfigError([fault])) })
    await late.done
    for (const it of [refused, late]) {
      expect(it.err()).toBe('token: cannot be used here\n')
      const [record, ...others] = it.log()
      const reason = 'token: cannot be used here'
      expect(record).toMatchObject({ level: 'fatal', msg: `cannot start: ${reason}`, faults: [reason] })
      expect(others).toEqual([])
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
    }
  })

  test('exits with 2 for an unknown log level', async () => {
    const it = program({ env: { ORIEL_LOG_LEVEL: 'loud' }, argv: ['--check-config'] })
    await it.done
    expect(it.err()).toMatch(/^ORIEL_LOG_LEVEL: "loud"/)
    expect(it.out()).toBe('')
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
    const started = program({ env: { ORIEL_LOG_LEVEL: 'loud' } })
    await started.done
    expect(started.log()).toMatchObject([{ level: 'fatal', faults: [expect.stringMatching(/^ORIEL_LOG_LEVEL/)] }])
  })
})

describe('stop', () => {
  test.each(['SIGTERM', 'SIGINT'])(
    'closes everything once in reverse order at %s, and exits with 0',
    async (signal) => {
      const closed: string[] = []
      const part = (name: string) => ({ [Symbol.asyncDispose]: async () => void closed.push(name) })
      const it = program({
        start: async (_, { scope }) => {
          scope.use(part('store'))
          scope.use(part('api'))
          return part('listener')
        },
      })
      const { signal: stopping } = await it.started
      it.signals.emit(signal)
      await it.done
      expect(closed).toEqual(['listener', 'api', 'store'])
      expect(stopping.aborted).toBe(true)
      expect(it.log().map(({ msg }) => msg)).toEqual(['stopping', 'stopped'])
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
      expect(it.signals.eventNames()).toEqual([])
    },
  )

  test('at a signal during the start closes the started parts', async () => {
    const closed: string[] = []
    const reached = Promise.withResolvers<void>()
    const it = program({
      start: async (_, { scope, signal }) => {
        scope.defer(() => void closed.push('first'))
        reached.resolve()
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        throw new Error('not reached')
      },
    })
    await reached.promise
    it.signals.emit('SIGTERM')
    await it.done
    expect(closed).toEqual(['first'])
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('at a second signal exits at once with 1', async () => {
    const it = program({ start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
    await it.started
    it.signals.emit('SIGTERM')
    it.signals.emit('SIGTERM')
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('counts one Ctrl-C that npm forwards as one signal, and a later one as a second', async () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(1_000)
    try {
      const closing = Promise.withResolvers<void>()
      const it = program({ start: async () => ({ [Symbol.asyncDispose]: () => closing.promise }) })
      await it.started
      it.signals.emit('SIGINT')
      it.signals.emit('SIGINT')
      closing.resolve()
      await it.done
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)

      const stuck = program({ start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
      await stuck.started
      stuck.signals.emit('SIGINT')
      clock.mockReturnValue(1_500)
      stuck.signals.emit('SIGINT')
      await stuck.done
      expect(stuck.exit).toHaveBeenCalledExactlyOnceWith(1)
    } finally {
      clock.mockRestore()
    }
  })

  test('that hangs exits at its deadline with 1', async () => {
    const stopDeadlineMs = vi.fn(() => 10)
    const it = program({ stopDeadlineMs, start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
    await it.started
    it.signals.emit('SIGTERM')
    await it.done
    expect(stopDeadlineMs).toHaveBeenCalledWith({ ttl_seconds: 5 })
    expect(it.log().at(-1)).toMatchObject({ level: 'error', deadlineMs: 10 })
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('that fails exits with 1, and closes the other parts', async () => {
    const closed: string[] = []
    const it = program({
      start: async (_, { scope }) => {
        scope.defer(() => void closed.push('first'))
        scope.defer(() => Promise.reject(new Error('stuck file')))
        return scope
      },
    })
    await it.started
    it.signals.emit('SIGTERM')
    await it.done
    expect(closed).toEqual(['first'])
    expect(it.log().at(-1)).toMatchObject({ level: 'error', err: { message: 'stuck file' } })
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })
})

describe('failure', () => {
  test('of the start closes the started parts, logs the reason and exits with 1', async () => {
    const closed: string[] = []
    const it = program({
      start: async (_, { scope }) => {
        scope.defer(() => void closed.push('store'))
        throw new Error('cannot reach mysql://oriel:hunter2@db: choose another')
      },
    })
    await it.done
    expect(closed).toEqual(['store'])
    const msg = 'cannot reach mysql://oriel:***@db: choose another'
    expect(it.log()).toMatchObject([{ level: 'fatal', msg }])
    expect(it.err()).toBe(`oriel-test: ${msg}\n`)
    expect(it.out()).not.toContain('hunter2')
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test.each(['unhandledRejection', 'uncaughtException'])('by %s is logged and exits with 1', async (event) => {
    const it = program()
    await it.started
    it.signals.emit(event, new Error('GET /?token=hunter2'))
    await it.done
    expect(it.log()[0]).toMatchObject({ level: 'fatal', err: { message: 'GET /?token=***' } })
    expect(it.out()).not.toContain('hunter2')
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('by an uncaught error during the stop exits with 1 instead of 0', async () => {
    const it = program({ start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
    await it.started
    it.signals.emit('SIGTERM')
    it.signals.emit('uncaughtException', new Error('late'))
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })
})

describe('reload', () => {
  const reloadable = (reload: (config: { ttl_seconds: number }) => void) => ({
    start: async () => ({ reload, async [Symbol.asyncDispose]() {} }),
  })

  test('passes the changed configuration to the program at SIGHUP, which keeps running', async () => {
    using config = configFile('ttl_seconds = 7')
    const seen = Promise.withResolvers<number>()
    const reload = (next: { ttl_seconds: number }) => seen.resolve(next.ttl_seconds)
    const it = program({ argv: ['--config', config.file], ...reloadable(reload) })
    await it.started
    writeFileSync(config.file, 'ttl_seconds = 8')
    it.signals.emit('SIGHUP')
    expect(await seen.promise).toBe(8)
    it.signals.emit('SIGTERM')
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
    expect(it.signals.listenerCount('SIGHUP')).toBe(0)
  })

  test('runs when a file changes that a key names', async () => {
    using config = configFile('token_file = "token"')
    writeFileSync(join(config.folder, 'token'), 'first')
    const seen = Promise.withResolvers<void>()
    const it = program({ argv: ['--config', config.file], ...reloadable(() => seen.resolve()) })
    await it.started
    writeFileSync(join(config.folder, 'token'), 'the second one')
    await seen.promise
    it.signals.emit('SIGTERM')
    await it.done
  })

  test('keeps the old configuration and logs the fault if the file is faulty', async () => {
    using config = configFile('ttl_seconds = 7')
    const reload = vi.fn()
    const it = program({ argv: ['--config', config.file], ...reloadable(reload) })
    await it.started
    writeFileSync(config.file, 'ttl_seconds = 0')
    it.signals.emit('SIGHUP')
    const failed = () => it.log().find((record) => /^cannot reload/.test(record.msg))
    await vi.waitFor(
      () =>
        expect(failed()).toMatchObject({
          level: 'error',
          faults: [expect.stringMatching(/^ttl_seconds: 0 is too small/)],
        }),
      PATIENT,
    )
    expect(reload).not.toHaveBeenCalled()
    it.signals.emit('SIGTERM')
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('logs the changed keys, and those that need a restart', async () => {
    using config = configFile('ttl_seconds = 7\ntoken = "hunter1"')
    const it = program({ argv: ['--config', config.file], reloadable: ['token'], ...reloadable(() => {}) })
    await it.started
    const reread = async (text: string) => {
      const seen = it.log().length
      writeFileSync(config.file, text)
      it.signals.emit('SIGHUP')
      const last = () => it.log().slice(seen)
      await vi.waitFor(() => expect(last().map(({ msg }) => msg)).toContain('configuration reloaded'), PATIENT)
      return last().map(({ level, changed, keys }) => ({ level, changed, keys }))
    }
    const begun = { level: 'info' }
    expect(await reread('ttl_seconds = 8\ntoken = "hunter2"')).toEqual([
      begun,
      { level: 'info', changed: ['ttl_seconds', 'token'] },
      { level: 'warn', keys: ['ttl_seconds'] },
    ])
    expect(await reread('ttl_seconds = 8\ntoken = "hunter2"')).toEqual([
      begun,
      { level: 'info', changed: [] },
      { level: 'warn', keys: ['ttl_seconds'] },
    ])
    expect(await reread('ttl_seconds = 7\ntoken = "hunter2"')).toEqual([
      begun,
      { level: 'info', changed: ['ttl_seconds'] },
    ])
    expect(it.out()).not.toContain('hunter')
    it.signals.emit('SIGTERM')
    await it.done
  })

  test('runs after the start if SIGHUP arrived during it', async () => {
    using config = configFile('ttl_seconds = 7')
    const [reached, proceed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const seen = Promise.withResolvers<number>()
    const it = program({
      argv: ['--config', config.file],
      start: async () => {
        reached.resolve()
        await proceed.promise
        return { reload: ({ ttl_seconds }) => seen.resolve(ttl_seconds), async [Symbol.asyncDispose]() {} }
      },
    })
    await reached.promise
    writeFileSync(config.file, 'ttl_seconds = 8')
    it.signals.emit('SIGHUP')
    proceed.resolve()
    expect(await seen.promise).toBe(8)
    it.signals.emit('SIGTERM')
    await it.done
  })

  test('listens for SIGHUP until the exit, so that the signal never ends the process', async () => {
    const closing = Promise.withResolvers<void>()
    const reload = vi.fn()
    const it = program({ start: async () => ({ reload, [Symbol.asyncDispose]: () => closing.promise }) })
    await it.started
    it.signals.emit('SIGTERM')
    await vi.waitFor(() => expect(it.log().at(-1)).toMatchObject({ msg: 'stopping' }), PATIENT)
    expect(it.signals.listenerCount('SIGHUP')).not.toBe(0)
    closing.resolve()
    await it.done
    expect(it.signals.listenerCount('SIGHUP')).toBe(0)
  })

  test('logs one line at SIGHUP if the program cannot reload', async () => {
    const it = program()
    await it.started
    it.signals.emit('SIGHUP')
    await vi.waitFor(
      () =>
        expect(it.log()).toMatchObject([
          { level: 'info', why: 'SIGHUP', msg: expect.stringMatching(/^this program cannot reload/) },
        ]),
      PATIENT,
    )
    it.signals.emit('SIGTERM')
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })
})

describe('warnings', () => {
  const warning = (message: string) => ({ path: 'token', message, severity: 'warning' as const })

  test('are logged at the start and once a day, and new faults are logged as an error', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      let found: readonly ConfigFault[] = [warning('ends soon')]
      const it = program({ refine: () => found })
      await it.started
      const lines = () => it.log().filter(({ key, faults }) => key === 'token' || faults)
      expect(lines()).toMatchObject([{ level: 'warn', key: 'token', msg: 'token: ends soon' }])
      vi.advanceTimersByTime(86_400_000)
      expect(lines()).toHaveLength(2)
      found = [{ path: 'token', message: 'has ended' }]
      vi.advanceTimersByTime(86_400_000)
      expect(lines()[2]).toMatchObject({ level: 'error', faults: ['token: has ended'] })
      it.signals.emit('SIGTERM')
      await it.done
      expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('are printed to stderr with --check-config, which exits with 0', async () => {
    const it = program({ argv: ['--check-config'], refine: () => [warning('ends soon')] })
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
    expect([it.err(), it.out()]).toEqual(['warning: token: ends soon\n', 'config ok\n'])
  })
})
