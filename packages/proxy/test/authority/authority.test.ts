/** Runs the suite of the port `Authority` for both adapters. */
import { novaAuthority, orielAuthority } from '../../src/index.ts'
import { capture, INSTANCE } from '../fixture.ts'
import { authoritySuite, type ServiceAnswer, type ServiceRequest } from './authority.suite.ts'

/** A real Nova returns `port: -1` for a stopped instance, or one whose host does not know the console yet. */
const NOWHERE = [
  ...[{ port: -1 }, { port: 0 }, { port: null }, { port: 'five' }, { port: 65536 }],
  ...[{ host: 'http://evil/' }, { host: null }, { host: '' }, { instance_uuid: '' }, { internal_access_path: 5 }],
]
/** Only Nova identifies a console of type spice-direct by this key. */
const NO_TLS_PORT = [{ tls_port: 'x' }, { tls_port: 70000 }, { port: -1, tls_port: -1 }, { port: null, tls_port: null }]
const unknown = { status: 404, body: { itemNotFound: { code: 404, message: 'Token not found' } } }

const NOVA_TOKENS = '/v2.1/os-console-auth-tokens/'
const info = { instance_uuid: INSTANCE, host: '10.0.0.5', port: 5901, internal_access_path: null }
const version = {
  id: 'v2.1',
  status: 'CURRENT',
  version: '2.99',
  min_version: '2.1',
  links: [],
  updated: '2013-07-23T11:33:21Z',
}

authoritySuite('nova', {
  open: ({ origin, ...options }) => novaAuthority({ endpoint: `${origin}/v2.1`, ...options }),
  service: {
    asks: ({ url }) => url.startsWith(NOVA_TOKENS),
    tokenOf: ({ url }) => url.slice(NOVA_TOKENS.length),
    known: { body: { console: info } },
    unknown,
    unusable: [...NOWHERE, ...NO_TLS_PORT].map((fault) => [
      JSON.stringify(fault),
      { body: { console: { ...info, ...fault } } },
    ]),
    other: () => ({ body: { version } }),
  },
})

const admitted = {
  ...{
    ...info,
    tls_port: null,
    instance_name: 'web',
    project_id: 'p',
    user_id: 'alice',
    protocol: 'vnc',
    type: 'novnc',
  },
  ...{ base_url: 'http://127.0.0.1:6080/vnc_lite.html', expires_at: '2099-01-01T00:00:00.000Z' },
}
const sessionOf = (console: object): ServiceAnswer => ({ body: { session: { id: 's1', console } } })
const beaten = (end: readonly object[]): ServiceAnswer => ({ body: { beat_seconds: 1, end } })
const endedIn = ({ url, body }: ServiceRequest): readonly { readonly reason: string }[] =>
  url === '/oriel/v1/proxies/one' ? JSON.parse(body).ended : []

authoritySuite('oriel', {
  open: ({ origin, ...options }) =>
    orielAuthority({ endpoint: origin, ...options, proxyId: 'one', log: capture().logger }),
  service: {
    asks: ({ url }) => url === '/oriel/v1/sessions',
    tokenOf: ({ body }) => JSON.parse(body).token,
    known: sessionOf(admitted),
    unknown,
    unusable: [...NOWHERE, { type: 'telnet' }, { base_url: 'elsewhere' }].map((fault) => [
      JSON.stringify(fault),
      sessionOf({ ...admitted, ...fault }),
    ]),
    other: () => beaten([]),
  },
  sessions: {
    tells: (request, reason) => endedIn(request).some((ended) => ended.reason === reason),
    wantsAllEnded: beaten([{ id: 's1', reason: 'revoked' }]),
  },
})
