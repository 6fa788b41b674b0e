/** `--print-nova-conf`: the options of nova.conf that lead the console URLs of an unmodified Nova to this proxy. */
import { formatListen, parseListen } from '@oriel/runtime'
import { type ListenerConfig, type ProxyConfig, servedTypes } from '../config.ts'
import type { ServedConsoleType } from '../consoles/index.ts'

interface Option {
  readonly group: string
  readonly name: string
  /** The page, below the listener's prefix if it serves several types. */
  readonly page: string
  readonly scheme?: 'ws'
}

/** Nova's options by console type (nova/conf/vnc.py, spice.py, serial_console.py, mks.py). */
const OPTIONS = {
  novnc: { group: 'vnc', name: 'novncproxy_base_url', page: 'vnc_lite.html' },
  'spice-html5': { group: 'spice', name: 'html5proxy_base_url', page: 'spice_auto.html' },
  'spice-direct': { group: 'spice', name: 'spice_direct_proxy_base_url', page: 'nova' },
  serial: { group: 'serial_console', name: 'base_url', page: '', scheme: 'ws' },
  webmks: { group: 'mks', name: 'mksproxy_base_url', page: 'webmks.html' },
} as const satisfies Record<ServedConsoleType, Option>

/** Stands in for the host of a listener on every address, whose public name is unknown. */
const PLACEHOLDER = 'consoles.example'
const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** The lines to put into nova.conf, by group. Each type leads to the first listener that serves it. */
export function novaConf({ listen }: ProxyConfig): string {
  const types = Object.keys(OPTIONS) as ServedConsoleType[]
  const lines = types.flatMap((type) => {
    const listener = listen.find((candidate) => servedTypes(candidate).includes(type))
    return listener ? [{ group: OPTIONS[type].group, line: lineOf(type, listener) }] : []
  })
  const groups = [...Map.groupBy(lines, ({ group }) => group)]
  const text = groups.map(([group, found]) => `[${group}]\n${found.map(({ line }) => `${line}\n`).join('')}`).join('')
  return `${header(text)}${text}`
}

function header(text: string): string {
  const remarks = ['nova.conf of every compute node; restart nova-compute afterwards (docs/nova.md)']
  if (text.includes(PLACEHOLDER)) {
    remarks.push(`replace ${PLACEHOLDER} with the public name of this proxy, or set listen[].base_url`)
  }
  if (text.includes('spice_direct'))
    remarks.push('spice_direct_proxy_base_url needs microversion 2.99; leave it out before')
  return remarks.map((remark) => `# ${remark}\n`).join('')
}

function lineOf(type: ServedConsoleType, listener: ListenerConfig): string {
  const { name, page, scheme }: Option = OPTIONS[type]
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
