/** The recordings: request and response pairs of a real Nova, one file a topic, and what real clients sent it. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { convertRange, resolveLatest } from './recorded-range.ts'

/** A header sent or received more than once has an array as its value. */
export type Headers = Readonly<Record<string, string | readonly string[]>>

/** Whose token, which server, which console token and which options were in force. Absent: the default of each. */
export interface Setup {
  readonly as?: string | null
  readonly server?: string
  readonly token?: TokenSetup
  /** Nova options by `group.name`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Policy rules that were replaced. */
  readonly rules?: Readonly<Record<string, string>>
  readonly patch?: 'rpc_timeout' | 'instance_gone' | 'cells_fail'
  /** The same request that many times; the last answer counts. */
  readonly repeat?: number
}

/** A token asked for through the API, or put into the table as it is. */
export interface TokenSetup {
  readonly protocol?: string
  readonly type?: string
  readonly make?: {
    readonly console_type: string
    readonly host?: string
    readonly port?: number
    readonly path?: string | null
    readonly tls_port?: number
    /** Seconds. */
    readonly ttl?: number
  }
  readonly then?: 'delete_server' | 'stop_server'
}

export interface VectorRequest {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  readonly body: string | null
  readonly body_encoding?: 'base64'
  readonly body_pad?: { readonly char: string; readonly count: number }
  /** How the body was framed, where not by a plain `Content-Length`. */
  readonly framing?: string
}

export interface VectorResponse {
  readonly status: number
  readonly headers: Headers
  /** Parsed if the Content-Type says JSON, else the raw string; null if empty. */
  readonly body: unknown
}

export interface Vector {
  readonly name: string
  readonly setup: Setup
  readonly request: VectorRequest
  readonly response: VectorResponse
  /** The same Nova behind another HTTP server, where that changed the answer. */
  readonly also_seen?: readonly VectorResponse[]
  readonly source: string
}

/** What a real client did: its calls in order. The answers were recorded without headers, server documents abbreviated. */
export interface Flow {
  readonly name: string
  readonly calls: readonly {
    readonly request: VectorRequest
    readonly response: { readonly status: number; readonly body: unknown }
  }[]
}

export interface Topic {
  readonly name: string
  readonly vectors: readonly Vector[]
}

/** The recordings that are kept with the project. */
export const recordings = fileURLToPath(new URL('../vectors/', import.meta.url))

/** Answers of Nova that its rules tell, where no recording is kept: so that each decision is put to the test. */
export const samples = fileURLToPath(new URL('../samples/', import.meta.url))

/** Every topic in `folder`, by file name. */
export function loadTopics(folder = recordings): readonly Topic[] {
  return jsonFiles(folder)
    .filter((file) => !isFlows(file))
    .map((file) => ({ name: basename(file, '.json'), vectors: read<Vector[]>(file).map(withLatestResolved) }))
}

/** Every client flow in `folder`. */
export function loadFlows(folder = recordings): readonly Flow[] {
  return jsonFiles(folder)
    .filter(isFlows)
    .flatMap((file) => read<Flow[]>(file))
    .map((flow) => ({ ...flow, calls: flow.calls.map(withLatestResolved) }))
}

const isFlows = (file: string) => basename(file).startsWith('client-flows')
const read = <T>(file: string) => JSON.parse(convertRange(readFileSync(file, 'utf8'))) as T
const withLatestResolved = <R extends { readonly request: VectorRequest }>(recording: R): R => ({
  ...recording,
  request: { ...recording.request, headers: resolveLatest(recording.request.headers) },
})

const jsonFiles = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name))
