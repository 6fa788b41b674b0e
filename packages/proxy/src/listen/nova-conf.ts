/** `--print-nova-conf`: prints the options of nova.conf with which an unmodified Nova returns console URLs of this proxy. */
import { openableConsoleTypes } from '@oriel/contract'
import { formatListen, parseListen } from '@oriel/runtime'
import { kindOf, type NovaOption, type ServedConsoleType } from '../consoles/kinds.ts'
import { type ListenerConfig, servedTypes } from './config.ts'

/** Replaces the host of a listener on every address, whose public name is unknown. */
const PLACEHOLDER = 'consoles.example'
const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** A served type that Nova has, with the first listener that serves it. */
interface Entry {
  readonly type: ServedConsoleType
  readonly option: NovaOption
  readonly listener: ListenerConfig
}

/** Returns the lines for nova.conf, by group. The URL of each type is that of the first listener that serves it. */
export function novaConf({ listen }: { readonly listen: readonly ListenerConfig[] }): string {
  const entries = openableConsoleTypes.flatMap((type) => entryOf(type, listen))
  const groups = [...Map.groupBy(entries, ({ option }) => option.group)]
  const text = groups
    .map(([group, found]) => `[${group}]\n${found.map((entry) => `${lineOf(entry)}\n`).join('')}`)
    .join('')
  return `${header(entries)}${text}`
}

function entryOf(type: ServedConsoleType, listen: readonly ListenerConfig[]): Entry[] {
  const option = kindOf(type).nova
  const listener = listen.find((candidate) => servedTypes(candidate).includes(type))
  return option && listener ? [{ type, option, listener }] : []
}

function header(entries: readonly Entry[]): string {
  const remarks = ['nova.conf of every compute node; restart nova-compute afterwards (docs/nova.md)']
  if (entries.some(({ listener }) => hasNoName(listener))) {
    remarks.push(`replace ${PLACEHOLDER} with the public name of this proxy, or set listen[].base_url`)
  }
  for (const { option } of entries) {
    if (option.since) remarks.push(`${option.name} requires microversion ${option.since}: remove it for an older Nova`)
  }
  return remarks.map((remark) => `# ${remark}\n`).join('')
}

function lineOf({ type, option, listener }: Entry): string {
  const { name, page, scheme } = option
  const origin = scheme === undefined ? originOf(listener) : originOf(listener).replace(/^http/, scheme)
  const prefix = servedTypes(listener).length > 1 ? `${type}/` : ''
  return `${name} = ${origin}/${prefix}${page}`
}

function originOf({ address, base_url, tls }: ListenerConfig): string {
  if (base_url !== undefined) return new URL(base_url).origin
  const { host, port } = parseListen(address)
  const named = ANY_ADDRESS.has(host) ? PLACEHOLDER : host
  return new URL(`${tls === undefined ? 'http' : 'https'}://${formatListen({ host: named, port })}`).origin
}

const hasNoName = ({ address, base_url }: Pick<ListenerConfig, 'address' | 'base_url'>) =>
  base_url === undefined && ANY_ADDRESS.has(parseListen(address).host)
