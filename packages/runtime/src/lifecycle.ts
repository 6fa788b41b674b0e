/** A program's life: arguments, configuration, start, signals, stop, exit code. */
import { dirname, resolve as resolvePath } from 'node:path'
import { isatty } from 'node:tty'
import type * as Type from 'typebox'
import { askHealth, type HealthListener, Unhealthy } from './ask-health.ts'
import { changedKeys, isBelow } from './config/changed-keys.ts'
import { hasVariables } from './config/environment.ts'
import { ConfigError, type ConfigFault, faultLine } from './config/error.ts'
import type { ListenKey } from './config/shared-addresses.ts'
import { loadConfig } from './config.ts'
import { deadline } from './deadline.ts'
import { ListenError, listenMessage } from './listen-on.ts'
import { createLogger, type Logger, logLevel } from './log.ts'
import { maskTokens } from './mask.ts'
import { flushOutputs, standardError, standardOutput } from './output.ts'
import { type FlagHelp, helpText, type ProgramArguments, programArguments } from './program-arguments.ts'
import { readTextFile } from './read-file.ts'
import { type Reread, type Stamps, stampOf, watchReloads } from './reload.ts'
import { serviceManager } from './service-manager.ts'
import { type Endings, type SignalSource, watchEndings } from './signals.ts'

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
/** Exit codes: `usage` stands for arguments that cannot be parsed, or no configuration at all. */
export const EXIT = { clean: 0, failed: 1, badConfig: 2, usage: 2 } as const

export interface StartContext {
  readonly log: Logger
  /** The program's own flags by name. */
  readonly flags: Readonly<Record<string, boolean>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts when the program must stop, also while it is still starting. */
  readonly signal: AbortSignal
  /** Resources added here are closed in reverse order at the stop, and also when `start` fails half-way. */
  readonly scope: AsyncDisposableStack
  /** Whether the program only checks its configuration. Always false for `start`, which is not called then. */
  readonly check?: boolean
}

/** A program's arguments, environment, streams and signals. Each defaults to that of the real process. */
export interface ProgramWorld {
  /** Arguments after the program's name. */
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly stdout?: TextSink
  readonly stderr?: TextSink
  /** Ends the process. A substitute in a test may return. */
  readonly exit?: (code: number) => void
  readonly signals?: SignalSource
}

export interface TextSink {
  write(text: string): unknown
}

/** A running program, as returned by `start`. */
export interface Started<S extends Type.TSchema> extends AsyncDisposable {
  /**
   * Applies the keys that may change while the program runs. Called with the configuration that was read again after
   * SIGHUP, or because a file that it names has changed, such as a certificate. An error is logged, and the program keeps
   * running. Without this method, SIGHUP only logs a line.
   */
  reload?(config: Type.Static<S>): void | Promise<void>
}

export interface ProgramOptions<S extends Type.TSchema> extends ProgramWorld {
  /** The program's name, in help and in every log line. */
  readonly name: string
  /** Printed by `--version`. Default: `0.0.0`. */
  readonly version?: string
  readonly schema: S
  /** Starts the program; resolves when it accepts work. The returned object is disposed of at the stop. */
  start(config: Type.Static<S>, context: StartContext): Promise<Started<S>>
  /** Checks that concern several keys at once. */
  refine?(config: Type.Static<S>): readonly ConfigFault[]
  /**
   * For `--check-config --online`: signs in and connects to the services in the configuration, and changes nothing there.
   * @param signal aborts after a minute
   */
  checkOnline?(config: Type.Static<S>, signal: AbortSignal): Promise<readonly ConfigFault[]>
  /** Log records that `--check-config` prints for a good configuration. */
  describe?(config: Type.Static<S>): readonly string[]
  /** Returns every key with a listen address, so that an address in use is reported with its key. Default: none. */
  listenKeys?(config: Type.Static<S>): readonly ListenKey[]
  /** Returns the listener that `--health` asks. Without this function, `--health` fails. */
  healthListener?(config: Type.Static<S>): HealthListener
  /** Returns text to print instead of starting, for a flag such as `--print-nova-conf`. */
  print?(config: Type.Static<S>, flags: Readonly<Record<string, boolean>>): string | undefined
  /** The program's own flags: each name with its line of help. */
  readonly flags?: FlagHelp
  /** Returns TOML to use when `--config` is absent, for flags that need no file, such as `--demo`. */
  builtInConfig?(flags: Readonly<Record<string, boolean>>): string | undefined
  /**
   * Paths of the keys that `reload` applies, with all keys below them; `[]` stands for every element of a list, as in
   * `listen[].tls.cert`. A change to any other key is logged as waiting for a restart. Default: none.
   */
  readonly reloadable?: readonly string[]
  /** `ORIEL_` variables that do not set a configuration key. */
  readonly ignoreEnv?: readonly string[]
  /** How long the stop may take before the process ends anyway, milliseconds. Default: 45000. */
  readonly stopDeadlineMs?: number | ((config: Type.Static<S>) => number)
}

const STOP_DEADLINE_MS = 45_000
/** How long to wait at the end for a slow reader of the log. */
const FLUSH_DEADLINE_MS = 1_000
const STDOUT = 1

/**
 * Runs a program to its end and exits: 0 after a clean stop, 2 when arguments or configuration are bad (each fault a line
 * on stderr), 1 otherwise. Writes the reason of a failed start to stderr, and if the log is JSON, to one `fatal` record as
 * well. The first SIGTERM or SIGINT stops the program in good order; the second ends it at once.
 */
export async function runProgram<S extends Type.TSchema>(options: ProgramOptions<S>): Promise<void> {
  const exit = options.exit ?? ((code: number) => process.exit(code))
  // Disposed of only after the exit: an error while the last lines are written must not change the exit code.
  using endings = watchEndings(options.signals ?? process)
  const code = await run(options, endings)
  await flushOutputs(FLUSH_DEADLINE_MS)
  exit(code)
}

/** Runs the program and returns the exit code. */
async function run<S extends Type.TSchema>(options: ProgramOptions<S>, endings: Endings): Promise<ExitCode> {
  const { stdout = standardOutput(), stderr = standardError() } = options
  const args = argumentsOf(options, stderr)
  if (!args) return EXIT.usage
  if (args.help) return print(stdout, helpText(options.name, options.flags))
  if (args.version) return print(stdout, `${options.name} ${options.version ?? '0.0.0'}\n`)
  try {
    const loaded = configOf(options, args)
    if (args.health) return await reportHealth(options, loaded.config)
    const log = loggerOf(options)
    if (args.checkConfig) {
      if (args.online) await checkOnline(options, loaded.config)
      stderr.write(loaded.warnings.map((warning) => `warning: ${warningLine(warning)}\n`).join(''))
      for (const line of options.describe?.(loaded.config) ?? []) log.info(line)
      return print(stdout, 'config ok\n')
    }
    const printed = options.print?.(loaded.config, args.flags)
    if (printed !== undefined) return print(stdout, printed)
    reportWarnings(log, loaded.warnings)
    return await live(options, endings, loaded.config, args, log, loaded.files)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const code = refuse(options, args, error)
    return args.health ? EXIT.failed : code
  }
}

// Before the start

/** Deadline for all requests of `checkOnline` together; each also has its own. */
const ONLINE_CHECK_MS = 60_000

/** @throws ConfigError with the faults that the services reported */
async function checkOnline<S extends Type.TSchema>(options: ProgramOptions<S>, config: Type.Static<S>): Promise<void> {
  using limit = deadline(ONLINE_CHECK_MS)
  const faults = (await options.checkOnline?.(config, limit.signal)) ?? []
  if (faults.length > 0) throw new ConfigError(faults)
}

/** Prints one sentence: to stdout if the running program answers, otherwise to stderr. */
async function reportHealth<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  config: Type.Static<S>,
): Promise<ExitCode> {
  const { name, stdout = standardOutput(), stderr = standardError() } = options
  try {
    if (!options.healthListener) throw new Unhealthy('this program has no listener to ask')
    return print(stdout, `${name} answers on ${await askHealth(options.healthListener(config))}\n`)
  } catch (error) {
    if (!(error instanceof Unhealthy)) throw error
    stderr.write(`${name}: ${error.message}\n`)
    return EXIT.failed
  }
}

function argumentsOf(options: ProgramOptions<Type.TSchema>, stderr: TextSink): ProgramArguments | undefined {
  try {
    return programArguments(options.argv ?? process.argv.slice(2), options.flags)
  } catch (error) {
    // The first sentence of Node's message is the reason; the rest is advice about `--` that does not apply here.
    stderr.write(usageLine(options.name, (error as Error).message.split(/\.\s/)[0]!))
    return undefined
  }
}

const usageLine = (name: string, wrong: string) =>
  `${name}: ${wrong}; give --config FILE, and see --help for the rest\n`

/** Whether keys are missing because the program was given neither a file nor a variable. */
function isUnconfigured(
  options: ProgramOptions<Type.TSchema>,
  args: ProgramArguments,
  { faults }: ConfigError,
): boolean {
  const { env = process.env, ignoreEnv = [] } = options
  if (args.config !== undefined || options.builtInConfig?.(args.flags) !== undefined) return false
  return !hasVariables(env, ignoreEnv) && faults.every(({ message }) => message.startsWith('missing'))
}

/** Writes the faults to stderr, and also to the log unless this is only `--check-config` or `--health`. */
function refuse(options: ProgramOptions<Type.TSchema>, args: ProgramArguments, error: ConfigError): ExitCode {
  const { name, stderr = standardError() } = options
  if (isUnconfigured(options, args, error)) {
    stderr.write(usageLine(name, 'no configuration is given'))
    return EXIT.usage
  }
  const faults = error.faults.map((fault) => maskTokens(faultLine(fault, args.config ?? 'configuration')))
  stderr.write(faults.map((fault) => `${fault}\n`).join(''))
  if (!args.checkConfig && !args.health && isLogJson(options))
    plainLogger(options).fatal({ faults }, `cannot start: ${faults[0]}`)
  return EXIT.badConfig
}

const warningLine = (warning: ConfigFault) => maskTokens(faultLine(warning, 'configuration'))

function reportWarnings(log: Logger, warnings: readonly ConfigFault[]): void {
  for (const warning of warnings) log.warn({ key: warning.path }, warningLine(warning))
}

const DAY_MS = 86_400_000

/**
 * Reads the configuration once a day, until disposed, and logs its warnings and faults: certificates expire while a
 * program runs for months.
 */
function checkDaily<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  args: ProgramArguments,
  log: Logger,
): Disposable {
  const check = () => {
    try {
      reportWarnings(log, configOf(options, args).warnings)
    } catch (error) {
      const faults = error instanceof ConfigError ? error.faults.map(warningLine) : undefined
      log.error(
        faults ? { faults } : { err: error },
        'the configuration has become invalid: the program would not start with it now',
      )
    }
  }
  const timer = setInterval(check, DAY_MS).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

interface LoadedConfig<S extends Type.TSchema> {
  readonly config: Type.Static<S>
  /** The files that `config` names. */
  readonly files: Stamps
  readonly warnings: readonly ConfigFault[]
}

/** Reads the configuration that the arguments name. @throws ConfigError */
function configOf<S extends Type.TSchema>(options: ProgramOptions<S>, args: ProgramArguments): LoadedConfig<S> {
  const files = new Map<string, string>()
  const warnings: ConfigFault[] = []
  const config = loadConfig(options.schema, {
    program: options.name,
    toml: args.config === undefined ? options.builtInConfig?.(args.flags) : readConfigFile(args.config),
    env: options.env ?? process.env,
    ignoreEnv: options.ignoreEnv ?? [],
    baseDir: args.config === undefined ? undefined : dirname(resolvePath(args.config)),
    refine: (config) => options.refine?.(config) ?? [],
    onWarning: (warning) => void warnings.push(warning),
    onFile: (path) => void files.set(path, stampOf(path)),
  })
  return { config, files, warnings }
}

function readConfigFile(file: string): string {
  try {
    return readTextFile(file)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    const message = `cannot read this file: ${FILE_REASONS[code] ?? `${code}, give a file that this user may read`}`
    throw new ConfigError([{ path: '', message }], { cause })
  }
}

const FILE_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist, give the name of an existing one to --config',
  EACCES: 'this user may not read it, change its owner or mode',
  EFBIG: 'it has more than 16 MiB, give a configuration to --config',
  EISDIR: 'it is a folder, give the file in it to --config',
}

function loggerOf(options: ProgramOptions<Type.TSchema>): Logger {
  return loggerAt(logLevel(options.env ?? process.env), options)
}

/** A logger that ignores the configured level, which may itself be the fault. */
const plainLogger = (options: ProgramOptions<Type.TSchema>) => loggerAt('info', options)

function loggerAt(level: string, { name, stdout }: ProgramOptions<Type.TSchema>): Logger {
  return createLogger(stdout ? { name, level, destination: { write: (line) => stdout.write(line) } } : { name, level })
}

/** Whether the log is JSON, and not readable text on a terminal, where stderr already shows failures. */
function isLogJson({ stdout }: Pick<ProgramWorld, 'stdout'>): boolean {
  return stdout !== undefined || !isatty(STDOUT)
}

function print(sink: TextSink, text: string): ExitCode {
  sink.write(text)
  return EXIT.clean
}

// From start to stop

async function live<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  endings: Endings,
  config: Type.Static<S>,
  args: ProgramArguments,
  log: Logger,
  files: Stamps,
): Promise<ExitCode> {
  using reloads = watchReloads({ signals: options.signals ?? process, log })
  using _daily = checkDaily(options, args, log)
  const scope = new AsyncDisposableStack()
  const stopping = new AbortController()
  const env = options.env ?? process.env
  const manager = serviceManager(env, log)
  const context = { log, flags: args.flags, env, signal: stopping.signal, scope, check: false }
  const starting = begin(options, config, context).then((started) => {
    if (stopping.signal.aborted) return
    reloads.begin(files, rereading(options, args, config, started, log))
    manager.notify('READY=1')
  })
  const first = await Promise.race([firstEnding(endings), startFailure(starting)])
  stopping.abort(new Error('the program is stopping'))
  if (first.kind === 'crash') return logCrash(log, first.error)
  announce(options, config, log, first)
  manager.notify('STOPPING=1')
  const closing = starting.catch(() => {}).then(() => scope.disposeAsync())
  const code = await Promise.race([
    closed(log, closing),
    stopTimeout(log, deadlineOf(options, config)),
    secondSignal(log, endings),
    endings.crash.then(({ error }) => logCrash(log, error)),
  ])
  if (first.kind === 'stop') {
    if (code === EXIT.clean) log.info('stopped')
    return code
  }
  if (first.error instanceof ConfigError) throw first.error
  return EXIT.failed
}

type Ending = { kind: 'stop'; signal: string } | { kind: 'crash'; error: unknown }
type StartFailure = { kind: 'start failed'; error: unknown }

function firstEnding({ stop, crash }: Endings): Promise<Ending> {
  return Promise.race([
    stop.then((signal): Ending => ({ kind: 'stop', signal })),
    crash.then(({ error }): Ending => ({ kind: 'crash', error })),
  ])
}

/** Resolves only when the start fails. */
function startFailure(starting: Promise<void>): Promise<StartFailure> {
  return new Promise((resolve) => {
    starting.catch((error: unknown) => resolve({ kind: 'start failed', error }))
  })
}

/** Logs why the program ends, except for a ConfigError: `refuse` reports that once all started parts have closed. */
function announce<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  config: Type.Static<S>,
  log: Logger,
  first: Ending | StartFailure,
): void {
  if (first.kind === 'stop') log.info({ signal: first.signal }, 'stopping')
  else if (!(first.error instanceof ConfigError)) logFailure(options, config, log, first.error)
}

function logFailure<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  config: Type.Static<S>,
  log: Logger,
  error: unknown,
): void {
  const { name, stderr = standardError(), env = process.env } = options
  const isListen = error instanceof ListenError
  const message = isListen ? listenMessage(error, options.listenKeys?.(config) ?? [], env) : messageOf(error)
  // On a terminal a stack trace would bury the one helpful sentence.
  if (isListen && !isLogJson(options)) log.fatal(message)
  else log.fatal({ err: error }, message)
  if (isLogJson(options)) stderr.write(`${name}: ${maskTokens(message)}\n`)
}

async function begin<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  config: Type.Static<S>,
  context: StartContext,
): Promise<Started<S>> {
  const started = await options.start(config, context)
  return started === context.scope ? started : context.scope.use(started)
}

/** Returns a function that reads the configuration again and passes it to the program. `undefined` if it cannot reload. */
function rereading<S extends Type.TSchema>(
  options: ProgramOptions<S>,
  args: ProgramArguments,
  inUse: Type.Static<S>,
  started: Started<S>,
  log: Logger,
): (() => Promise<Reread>) | undefined {
  if (!started.reload) return undefined
  let last = inUse
  return async () => {
    const { config, files, warnings } = configOf(options, args)
    reportWarnings(log, warnings)
    await started.reload?.(config)
    const changed = changedKeys(last, config)
    last = config
    const waiting = changedKeys(inUse, config).filter((path) => !isBelow(path, options.reloadable ?? []))
    return { files, changed, waiting }
  }
}

/** State may be inconsistent after an uncaught error, so no further code runs. */
function logCrash(log: Logger, error: unknown): ExitCode {
  log.fatal({ err: error }, 'uncaught error, ending the program')
  return EXIT.failed
}

async function closed(log: Logger, closing: Promise<void>): Promise<ExitCode> {
  try {
    await closing
    return EXIT.clean
  } catch (error) {
    log.error({ err: error }, 'the stop failed')
    return EXIT.failed
  }
}

async function stopTimeout(log: Logger, deadlineMs: number): Promise<ExitCode> {
  await new Promise((resolve) => setTimeout(resolve, deadlineMs).unref())
  log.error({ deadlineMs }, 'the stop took too long, ending anyway')
  return EXIT.failed
}

async function secondSignal(log: Logger, { hurry }: Endings): Promise<ExitCode> {
  const signal = await hurry
  log.warn({ signal }, 'second signal, ending at once')
  return EXIT.failed
}

function deadlineOf<S extends Type.TSchema>({ stopDeadlineMs }: ProgramOptions<S>, config: Type.Static<S>): number {
  return typeof stopDeadlineMs === 'function' ? stopDeadlineMs(config) : (stopDeadlineMs ?? STOP_DEADLINE_MS)
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'an error that cannot be shown as text'
  }
}
