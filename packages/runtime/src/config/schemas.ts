/** Schemas with meanings that JSON Schema lacks: secrets, digests of secrets, PEM, parsed text and listen addresses. */
import { isIP } from 'node:net'
import * as Type from 'typebox'
import { parseHost } from '../host.ts'
import type { Secret } from '../secret.ts'

/** The address that a listener binds to. `host` has no brackets; `port` 0 picks a free port. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Marks a schema whose value the loader wraps. */
export const SECRET_MARK = 'x-oriel-secret'
/** Marks a schema whose value must not be quoted although it is not a secret: people paste the secret itself there. */
export const UNQUOTED_MARK = 'x-oriel-unquoted'
/** Text for a fault that says what to write, for schemas whose pattern would not help a person. */
export const REMEDY_MARK = 'x-remedy'

/** Marks text that may also be given as the name of a PEM file. */
export const PEM_MARK = 'x-oriel-pem'

/** Marks text with a parser, which returns the value to use or throws a TypeError in words that follow the quoted text. */
export const PARSER = 'x-oriel-parser'
/** Marks a record whose keys have such a parser. */
export const KEY_PARSER = 'x-oriel-key-parser'

const PORT = '(?:6553[0-5]|655[0-2]\\d|65[0-4]\\d{2}|6[0-4]\\d{3}|[1-5]\\d{4}|\\d{1,4})'
const LISTEN = `^(?:\\[([0-9a-fA-F:.]+(?:%[\\w.-]+)?)\\]|([\\w.-]+)):(${PORT})$`
const LISTEN_MEANING = 'Where to listen, as host:port; port 0 picks a free one.'
const LISTEN_REMEDY = 'host:port with a port from 0 to 65535, such as 127.0.0.1:6080 or [::1]:6080'

/**
 * Text that `parse` checks, and may normalise, if it fits all other keywords.
 * @param parse throws a TypeError with the fault and its remedy, in words that follow the quoted value
 */
export function parsedText(parse: (text: string) => string, options: Type.TStringOptions = {}): Type.TString {
  return Type.String({ ...options, [PARSER]: parse })
}

/** Text that the loaded configuration has as a `Secret`. Takes the options of a string, such as `minLength`. */
export function secretString(options: Type.TStringOptions = {}): Type.TUnsafe<Secret> {
  return Type.Unsafe<Secret>({ minLength: 1, ...options, type: 'string', [SECRET_MARK]: true })
}

/**
 * The SHA-256 digest of a token, as 64 hexadecimal digits. No message quotes the value, because a token that is pasted in
 * place of its digest does not fit and would be printed.
 */
export function sha256Digest(options: Type.TStringOptions = {}): Type.TString {
  return Type.String({
    pattern: '^[0-9a-fA-F]{64}$',
    [REMEDY_MARK]: "64 hexadecimal digits: printf %s 'the token' | sha256sum",
    ...options,
    [UNQUOTED_MARK]: true,
  })
}

/** Certificates as PEM text, or the name of a file with it; the loaded configuration has the text. */
export function pem(options: Type.TStringOptions = {}): Type.TString {
  return Type.String({ minLength: 1, ...options, [PEM_MARK]: true })
}

/** A private key as PEM text, or the name of a file with it; the loaded configuration has the text, as a `Secret`. */
export function secretPem(options: Type.TStringOptions = {}): Type.TUnsafe<Secret> {
  return secretString({ ...options, [PEM_MARK]: true })
}

/** `host:port` to listen on, with brackets around an IPv6 host. Required if it has no default. */
export function listenAddress(defaultAddress?: string): Type.TString {
  const options = { pattern: LISTEN, [REMEDY_MARK]: LISTEN_REMEDY, description: LISTEN_MEANING }
  const withDefault = defaultAddress === undefined ? options : { ...options, default: defaultAddress }
  return parsedText(checkedListen, withDefault)
}

/**
 * Parses `host:port`.
 * @throws TypeError that quotes the text and says what to write
 */
export function parseListen(text: string): ListenAddress {
  try {
    return splitListen(text)
  } catch (error) {
    throw new TypeError(`${JSON.stringify(text)} ${(error as Error).message}`)
  }
}

function checkedListen(text: string): string {
  splitListen(text)
  return text
}

/** @throws TypeError in words that follow the quoted text */
function splitListen(text: string): ListenAddress {
  const found = new RegExp(LISTEN).exec(text)
  if (!found) throw new TypeError(`is not a listen address, give ${LISTEN_REMEDY}`)
  const { 1: address, 2: name, 3: port } = found
  if (address !== undefined && isIP(address) !== 6)
    throw new TypeError(`has no IPv6 address in its brackets, give ${LISTEN_REMEDY}`)
  return { host: address ?? hostIn(name!), port: Number(port) }
}

function hostIn(text: string): string {
  try {
    return parseHost(text)
  } catch (error) {
    throw new TypeError(`cannot be listened on: ${JSON.stringify(text)} ${(error as Error).message}`)
  }
}

/** Formats an address; the inverse of `parseListen`. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
