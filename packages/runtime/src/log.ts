/** The log: one JSON object a line on stdout, readable lines on a terminal, and never a credential in either. */
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { ConfigError } from './config/error.ts'
import { maskTokens, maskValue } from './mask.ts'

export type Logger = pino.Logger

export interface LoggerOptions {
  /** Stands in every line as `name`. */
  readonly name: string
  /** The least level that is written: trace, debug, info, warn, error, fatal or silent. Default: `ORIEL_LOG_LEVEL`, else info. */
  readonly level?: string
  /** Where lines go. Default: stdout, as readable text when that is a terminal. */
  readonly destination?: pino.DestinationStream
}

const LEVEL_VARIABLE = 'ORIEL_LOG_LEVEL'
const LEVELS = [...Object.keys(pino.levels.values), 'silent']

/**
 * A logger whose every line passes the mask: messages, fields at any depth, errors with their causes and stacks.
 * @throws ConfigError when the level is not one of pino's.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: knownLevel(options.level ?? logLevel(process.env)),
      base: {},
      name: options.name,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err, reason: errorOrValue },
      hooks: { streamWrite: maskLine },
    },
    options.destination ?? standardOutput(),
  )
}

/** The level that the environment asks for; info when it does not say. */
export function logLevel(env: Readonly<Record<string, string | undefined>>): string {
  return env[LEVEL_VARIABLE]?.trim().toLowerCase() || 'info'
}

/** A logger that writes nothing. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}

/** One line as pino wrote it, masked. What is not JSON after all is masked as text. */
export function maskLine(line: string): string {
  try {
    return `${JSON.stringify(maskValue(JSON.parse(line)))}\n`
  } catch {
    return maskTokens(line)
  }
}

function knownLevel(level: string): string {
  if (LEVELS.includes(level)) return level
  const message = `${JSON.stringify(level)} is no log level, give one of ${LEVELS.join(', ')}`
  throw new ConfigError([{ path: LEVEL_VARIABLE, message }])
}

function errorOrValue(value: unknown): unknown {
  return value instanceof Error ? pino.stdSerializers.err(value) : value
}

// Both write synchronously and in this process: the programs are bundled into one file, which has no place for the
// worker that pino's transports start, and the last line before an exit must not be lost.
function standardOutput(): pino.DestinationStream {
  if (!process.stdout.isTTY) return pino.destination({ fd: 1, sync: true })
  return pretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'name' })
}
