/** `--print-nova-conf`: the options of nova.conf that lead the console URLs of an unmodified Nova to this proxy. */
import { openableConsoleTypes } from '@oriel/contract'
import { formatListen, parseListen } from '@oriel/runtime'
import { kindOf, type NovaOption, type ServedConsoleType } from '../consoles/kinds.ts'
import { type ListenerConfig, servedTypes } from './config.ts'

/** Stands in for the host of a listener on every address, whose public name is unknown. */
const PLACEHOLDER = 'consoles.example'
const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** A served type that Nova has, with the first listener that serves it. */
interface Lead {
  readonly type: ServedConsoleType
  readonly option: NovaOption
  readonly listener: ListenerConfig
}

/** The lines to put into nova.conf, by group. Each type leads to the first listener that serves it. */
export function novaConf({ listen }: { readonly listen: readonly ListenerConfig[] }): string {
  const leads = openableConsoleTypes.flatMap((type) => leadOf(type, listen))
  const groups = [...Map.groupBy(leads, ({ option }) => option.group)]
  const text = groups
    .map(([group, found]) => `[${group}]\n${found.map((lead) => `${lineOf(lead)}\n`).join('')}`)
    .join('')
  return `${header(text, leads)}${text}`
}

function leadOf(type: ServedConsoleType, listen: readonly ListenerConfig[]): Lead[] {
  const option = kindOf(type).nova
  const listener = listen.find((candidate) => servedTypes(candidate).includes(type))
  return option && listener ? [{ type, option, listener }] : []
}

function header(text: string, leads: readonly Lead[]): string {
  const remarks = ['nova.conf of every compute node; restart nova-compute afterwards (docs/nova.md)']
  if (text.includes(PLACEHOLDER)) {
    remarks.push(`replace ${PLACEHOLDER} with the public name of this proxy, or set listen[].base_url`)
  }
  for (const { option } of leads) {
    if (option.since) remarks.push(`${option.name} needs microversion ${option.since}; leave it out before`)
  }
  return remarks.map((remark) => `# ${remark}\n`).join('')
}

function lineOf({ type, option, listener }: Lead): string {
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
