/** Creates the configurations of the programs of a {@link Cloud}. */

const PROJECT = '6f70656e737461636b206d6174746572'

export const serverId = (n: number): string => `52b2e44e-e561-464c-88f3-${String(n).padStart(12, '0')}`

export interface ApiSettings {
  readonly port: number
  readonly authUrl: string
  readonly database: string
  /** The ports of the consoles, in order. */
  readonly ports: readonly number[]
}

/** Returns the configuration of `oriel-api`. */
export const apiToml = (settings: ApiSettings): string => apiTables(settings)

/** Returns the configuration of `oriel`, whose proxy listens at `port`. */
export const orielToml = (settings: ApiSettings, port: number): string => `
[api]
${apiTables(settings, 'api.')}
[[proxy.listen]]
address = "127.0.0.1:${port}"
consoles = ["novnc"]
`

const apiTables = ({ port, authUrl, database, ports }: ApiSettings, prefix = '') => `
listen = "127.0.0.1:${port}"
[${prefix}auth]
method = "keystone"
[${prefix}auth.keystone]
auth_url = "${authUrl}"
username = "oriel"
password = "chaos"
project_name = "service"
cache_seconds = 5
[${prefix}tokens]
store = "sqlite:${database}"
[[${prefix}sources]]
kind = "static"
${ports.map((console, n) => serverToml(console, n, prefix)).join('')}`

const serverToml = (port: number, n: number, prefix: string) => `
[[${prefix}sources.servers]]
id = "${serverId(n)}"
name = "instance-00000001"
project_id = "${PROJECT}"
consoles.vnc = { host = "127.0.0.1", port = ${port} }
`

export interface ProxySettings {
  readonly kind: 'oriel' | 'nova'
  readonly port: number
  readonly api: Pick<ApiSettings, 'port' | 'authUrl'>
}

export const proxyToml = ({ kind, port, api }: ProxySettings): string => `
[authority]
kind = "${kind}"
endpoint = "http://127.0.0.1:${api.port}/v2.1"
[authority.auth]
method = "password"
auth_url = "${api.authUrl}"
username = "oriel"
password = "chaos"
user_domain_name = "Default"
project_name = "service"
project_domain_name = "Default"
[[listen]]
address = "127.0.0.1:${port}"
consoles = ["novnc"]
`
