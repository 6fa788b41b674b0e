/** The log: one JSON object a line on stdout, or readable lines on a terminal. Credentials are masked in both. */
import { isatty } from 'node:tty'
import { pino } from 'pino'
import { prettyFactory } from 'pino-pretty'
import { ConfigError } from './config/error.ts'
import { maskTokens, maskValue } from './mask.ts'
import { type Output, standardOutput } from './output.ts'

export type Logger = pino.Logger

export interface LoggerOptions {
  /** The field `name` of every line. */
  readonly name: string
  /** The lowest level to write: trace, debug, info, warn, error, fatal or silent. Default: `ORIEL_LOG_LEVEL`, else info. */
  readonly level?: string
  /** Receives the lines, as JSON. Default: stdout, with readable text on a terminal. */
  readonly destination?: pino.DestinationStream
  /** Receives the lines instead of stdout, with an extra line after some were lost. */
  readonly output?: Output
}

const LEVEL_VARIABLE = 'ORIEL_LOG_LEVEL'
const STDOUT = 1
const LEVELS = [...Object.keys(pino.levels.values), 'silent']

/**
 * Creates a logger that masks credentials in messages, in fields at any depth, and in errors with their causes and stacks.
 * @throws ConfigError when the level is not one of pino's.
 */
export function createLogger(options: LoggerOptions): Logger {
  if (options.destination) return loggerTo(options.destination, options)
  const output = options.output ?? standardOutput()
  const log = loggerTo(destinationOf(output), options)
  output.onRecovered = (lost) => log.warn({ lost }, 'log lines were lost because the log could not be written')
  return log
}

function loggerTo(destination: pino.DestinationStream, { name, level }: LoggerOptions): Logger {
  const error = readable(pino.stdSerializers.err)
  return pino(
    {
      level: knownLevel(level ?? logLevel(process.env)),
      base: {},
      name,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: error, error, reason: readable(errorOrValue) },
      hooks: { streamWrite: maskLine },
    },
    destination,
  )
}

/** The level in `ORIEL_LOG_LEVEL`. Default: info. */
export function logLevel(env: Readonly<Record<string, string | undefined>>): string {
  return env[LEVEL_VARIABLE]?.trim().toLowerCase() || 'info'
}

/** A logger that writes nothing. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}

/** Masks a line from pino; one that is not JSON is masked as text. */
export function maskLine(line: string): string {
  try {
    return `${JSON.stringify(maskValue(JSON.parse(line)))}\n`
  } catch {
    return maskTokens(line)
  }
}

function knownLevel(level: string): string {
  if (LEVELS.includes(level)) return level
  const message = `${JSON.stringify(level)} is not a log level, give one of ${LEVELS.join(', ')}`
  throw new ConfigError([{ path: LEVEL_VARIABLE, message }])
}

function errorOrValue(value: unknown): unknown {
  return value instanceof Error ? pino.stdSerializers.err(value) : value
}

/** Never throws: the value may come from a peer, or be the error that ends the program. */
function readable(serialize: (value: never) => unknown): (value: unknown) => unknown {
  return (value) => {
    try {
      return serialize(value as never)
    } catch {
      return { message: 'an error whose fields cannot be read' }
    }
  }
}

// Not as a pino transport: transports load a worker from a file of its own, and the programs are bundled into one file.
function destinationOf(output: Output): pino.DestinationStream {
  if (!isatty(STDOUT)) return output
  const prettify = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'name' })
  return { write: (line) => output.write(prettify(line)) }
}
