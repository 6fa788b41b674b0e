import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Type from 'typebox'
import { describe, expect, test, vi } from 'vitest'
import {
  ConfigError,
  type ConfigFault,
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

/** A program in a world of its own: what it printed, how it ended, and a way to signal it. */
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
  test('--help lists the common and the own flags', async () => {
    const it = program({ argv: ['--help'], flags: { demo: 'add a demo guest' } })
    await it.done
    expect(it.out()).toMatch(
      /^Usage: oriel-test[\s\S]*--config FILE[\s\S]*--check-config[\s\S]*--demo +add a demo guest/,
    )
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('--version', async () => {
    const it = program({ argv: ['--version'], version: '1.2.3' })
    await it.done
    expect(it.out()).toBe('oriel-test 1.2.3\n')
  })

  test.each([
    ['--bogus', "Unknown option '--bogus'"],
    ['--config', "Option '--config <value>' argument missing"],
    ['file.toml', "Unexpected argument 'file.toml'"],
    ['--demo=yes', "Option '--demo' does not take an argument"],
  ])('%s is refused with 2 and one line that says what to do', async (argument, reason) => {
    const it = program({ argv: [argument], flags: { demo: '' } })
    await it.done
    expect(it.err()).toBe(`oriel-test: ${reason}; give --config FILE, and see --help for the rest\n`)
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
  })

  test.each([[[]], [['--check-config']]])(
    'without any configuration, where one is needed, so too: %j',
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

  test('own flags reach the start, and may bring a configuration of their own', async () => {
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
  test('--check-config says ok and starts nothing', async () => {
    using config = configFile('ttl_seconds = 9')
    const start = vi.fn()
    const it = program({ argv: ['--config', config.file, '--check-config'], start })
    await it.done
    expect([it.out(), it.err()]).toEqual(['config ok\n', ''])
    expect(start).not.toHaveBeenCalled()
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
  })

  test('--check-config prints the program’s notes on its configuration, one record each', async () => {
    using config = configFile('ttl_seconds = 9')
    const describe = ({ ttl_seconds }: { ttl_seconds: number }) => [`tokens live for ${ttl_seconds} seconds`]
    const it = program({ argv: ['--config', config.file, '--check-config'], describe })
    await it.done
    const [record, last] = it.out().trimEnd().split('\n')
    expect(JSON.parse(record!)).toMatchObject({ level: 'info', msg: 'tokens live for 9 seconds' })
    expect([last, it.err()]).toEqual(['config ok', ''])
  })

  test.each([[[]], [['--check-config']]])('every fault is a line on stderr, exit 2: %j', async (more) => {
    using config = configFile('ttl_seconds = 0\ntokn = "hunter2"')
    const it = program({ argv: ['--config', config.file, ...more] })
    await it.done
    expect(it.err()).toBe(
      'ttl_seconds: 0 is too small, give a number of 1 or more\ntokn: unknown key, the nearest known key is token\n',
    )
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
  })

  test('a syntax error names the file', async () => {
    using config = configFile('ttl_seconds = "9\n')
    const it = program({ argv: ['--config', config.file] })
    await it.done
    const [first, ...more] = it.err().split('\n')
    expect(first).toMatch(`${config.file}: line 1, column 17: `)
    expect(more).toEqual(['  1 | ttl_seconds = "9', '    |                 ^', ''])
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(2)
  })

  test('a file that is missing or a folder is one clear line, exit 2', async () => {
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

  test('files named in it count from its folder', async () => {
    using config = configFile('token_file = "test.toml"')
    const it = program({ argv: ['--config', config.file, '--check-config'] })
    await it.done
    expect(it.out()).toBe('config ok\n')
  })

  test('faults across keys, and those that only the start can find, are exit 2 too', async () => {
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

  test('an unknown log level is exit 2', async () => {
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
  test.each(['SIGTERM', 'SIGINT'])('%s closes everything in reverse order, once, exit 0', async (signal) => {
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
  })

  test('a signal during the start ends it, and what had started is closed', async () => {
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

  test('a second signal ends at once with 1', async () => {
    const it = program({ start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
    await it.started
    it.signals.emit('SIGTERM')
    it.signals.emit('SIGTERM')
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('one Ctrl-C that npm passes on a second time is one; a later one is a second', async () => {
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

  test('a stop that hangs ends at its deadline with 1', async () => {
    const stopDeadlineMs = vi.fn(() => 10)
    const it = program({ stopDeadlineMs, start: async () => ({ [Symbol.asyncDispose]: () => new Promise(() => {}) }) })
    await it.started
    it.signals.emit('SIGTERM')
    await it.done
    expect(stopDeadlineMs).toHaveBeenCalledWith({ ttl_seconds: 5 })
    expect(it.log().at(-1)).toMatchObject({ level: 'error', deadlineMs: 10 })
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('a stop that fails is 1, and the other parts are closed all the same', async () => {
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
  test('a start that fails closes what had started, logs why, exit 1', async () => {
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

  test.each(['unhandledRejection', 'uncaughtException'])('%s is logged, exit 1', async (event) => {
    const it = program()
    await it.started
    it.signals.emit(event, new Error('GET /?token=hunter2'))
    await it.done
    expect(it.log()[0]).toMatchObject({ level: 'fatal', err: { message: 'GET /?token=***' } })
    expect(it.out()).not.toContain('hunter2')
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(1)
  })

  test('an error that nobody caught during the stop is 1, not a clean end', async () => {
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

  test('SIGHUP gives the program what its file says now, and it goes on', async () => {
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

  test('a change of a file that a key names is enough', async () => {
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

  test('a faulty file changes nothing, and the log says why', async () => {
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

  test('the log says what changed, and which of it waits for a restart', async () => {
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

  test('a SIGHUP during the start is answered after it', async () => {
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

  test('SIGHUP has a listener until the very end, so that it never ends the process', async () => {
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

  test('a program that cannot reload says so in one line, and goes on', async () => {
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

  test('are lines on stderr with --check-config, which exits with 0', async () => {
    const it = program({ argv: ['--check-config'], refine: () => [warning('ends soon')] })
    await it.done
    expect(it.exit).toHaveBeenCalledExactlyOnceWith(0)
    expect([it.err(), it.out()]).toEqual(['warning: token: ends soon\n', 'config ok\n'])
  })
})
