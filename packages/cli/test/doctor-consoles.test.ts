/** `oriel doctor` with console proxies, load balancers and hypervisors that are broken, each in its own way. */
import { createHash } from 'node:crypto'
import { closeReasons } from '@oriel/contract'
import { freePort } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { checkAccessUrl } from '../src/doctor/consoles/access-url.ts'
import { diagnose, diagnoseProxy, failureIn, NOVNC, pagesAre } from './parts/diagnose.ts'
import {
  CONSOLE_TOKEN,
  type FakeProxyOptions,
  fakeApi,
  fault,
  ORIELS_PAGE,
  type SpeakAs,
  send,
  speakRfb,
} from './parts/fake-cloud.ts'

/** Answers an Upgrade without one. */
const upgradesGet = (status: string, body = '', headers = ''): FakeProxyOptions => ({
  upgrade: (_, socket) => void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n${headers}\r\n${body}`),
})

const closing =
  (code: number, reason: string): SpeakAs =>
  (socket) =>
    socket.close(code, reason)

/** Closes the consoles of browsers, as nova-novncproxy does with a Host that the load balancer has changed. */
const closingForBrowsers: SpeakAs = (socket, request) =>
  request.headers.origin === undefined ? speakRfb(socket, request) : socket.close(1011, 'error')

it.each([
  [
    'a page that only exists below a prefix',
    {
      broken: ({ url = '' }, response) =>
        url.startsWith('/novnc/vnc.html')
          ? send(response, 200, ORIELS_PAGE)
          : send(response, 404, fault('itemNotFound', 404, 'Not found: no page has this path.')),
    },
    'novnc page',
    /has no page at \/vnc_lite\.html, but at \/novnc\/vnc\.html/,
    'console proxy',
    /Set \[vnc\] novncproxy_base_url .* to http\S+\/novnc\/vnc\.html/,
  ],
  [
    'a listener of oriel-proxy without this type',
    pagesAre(404, fault('itemNotFound', 404, 'Not found: no page has this path.')),
    'novnc page',
    /^oriel-proxy at \S+ has no page/,
    'oriel-proxy',
    /Add "novnc" to the consoles/,
  ],
  [
    'a path that the load balancer does not route',
    pagesAre(404, '<h1>404</h1>'),
    'novnc page',
    /answers 404, and not by a console proxy/,
    'load balancer',
    /Route \/vnc_lite\.html/,
  ],
  [
    'a load balancer without a proxy behind it',
    pagesAre(502, '<h1>502</h1>'),
    'novnc page',
    /answers 502: no console proxy is behind the load balancer/,
    'load balancer',
    /\/readyz/,
  ],
  [
    'a redirect to https',
    pagesAre(301, '', { Location: 'https://c.example/vnc_lite.html' }),
    'novnc page',
    /redirects to https:\/\/c\.example/,
    'console proxy',
    /behind the redirect/,
  ],
  [
    'a sign-in in front of the proxy',
    pagesAre(401, 'Sign in'),
    'novnc page',
    /a sign-in is in front of the console proxy/,
    'load balancer',
    /without a sign-in/,
  ],
  [
    'a rewritten Host on a local proxy',
    pagesAre(421, fault('badRequest', 421, 'Without sign-in only this machine is served.')),
    'novnc page',
    /answers 421: Without sign-in/,
    'oriel-proxy',
    /origin\.allowed/,
  ],
  [
    'an Upgrade that gets the page of a web server',
    upgradesGet('200 OK', '<title>Consoles</title>'),
    'novnc websocket',
    /answers 200 \("Consoles"\): the Upgrade header is lost/,
    'load balancer',
    /proxy_set_header Upgrade/,
  ],
  [
    'an Upgrade that gets 426',
    upgradesGet('426 Upgrade Required'),
    'novnc websocket',
    /answers 426: the Upgrade header is lost/,
    'load balancer',
    /HAProxy needs mode http/,
  ],
  [
    'a filter that refuses WebSockets',
    upgradesGet('403 Forbidden', '<title>WAF</title>'),
    'novnc websocket',
    /answers 403 \("WAF"\): it does not let the WebSocket pass/,
    'load balancer',
    /without a filter/,
  ],
  [
    'WebSockets without a backend',
    upgradesGet('503 Service Unavailable'),
    'novnc websocket',
    /answers 503: no console proxy/,
    'load balancer',
    /backend for WebSockets/,
  ],
  [
    'a query that is dropped',
    { refusal: ['missing_token'] },
    'novnc websocket',
    /\(missing_token\)/,
    'load balancer',
    /query of the address/,
  ],
  [
    'a Host that is rewritten',
    { refusal: ['foreign_origin', 'https://c.example'] },
    'novnc origin',
    /to pages of http:\/\/127\.0\.0\.1:\d+ \(foreign_origin\)/,
    'load balancer',
    /proxy_set_header Host \$host.*base_url = "https:\/\/c\.example"/,
  ],
  [
    'a scheme that is not forwarded',
    { refusal: ['foreign_origin'] },
    'novnc origin',
    /\(foreign_origin\)/,
    'load balancer',
    /X-Forwarded-Proto/,
  ],
  [
    'a token of another API',
    { refusal: ['unknown_token'] },
    'novnc console',
    /\(unknown_token\)/,
    'oriel-proxy',
    /compare authority\.endpoint/,
  ],
  [
    'a listener of another type',
    { refusal: ['wrong_console_type'] },
    'novnc console',
    /\(wrong_console_type\)/,
    'Nova',
    /whose consoles have this type/,
  ],
  [
    'an API that the proxy cannot use',
    { refusal: ['authority_unavailable'] },
    'novnc console',
    /\(authority_unavailable\)/,
    'oriel-proxy',
    /--check-config --online/,
  ],
  [
    'a hypervisor that refuses connections',
    { refusal: ['console_unreachable'] },
    'novnc console',
    /\(console_unreachable\)/,
    'hypervisor',
    /server_proxyclient_address/,
  ],
  [
    'a hypervisor behind a firewall',
    { refusal: ['console_timeout'] },
    'novnc console',
    /\(console_timeout\)/,
    'hypervisor',
    /firewall.*dial_timeout_ms/,
  ],
  [
    'a security type that is not allowed',
    { refusal: ['security_failed'] },
    'novnc console',
    /\(security_failed\)/,
    'hypervisor',
    /auth_schemes/,
  ],
  [
    'clients that all count as one',
    { refusal: ['too_many_attempts'] },
    'novnc console',
    /\(too_many_attempts\)/,
    'oriel-proxy',
    /trusted_proxies/,
  ],
  [
    'another guest behind the port',
    { speak: closing(4009, closeReasons.wrong_instance.text) },
    'novnc console',
    /\(code 4009\): Another machine answered/,
    'hypervisor',
    /hypervisor\.identity/,
  ],
  [
    'a guest that is lost at once',
    { speak: closing(4000, closeReasons.console_lost.text) },
    'novnc console',
    /\(code 4000\)/,
    'hypervisor',
    /guest runs/,
  ],
  [
    'a Host that is rewritten for nova-novncproxy',
    { speak: closingForBrowsers, ...pagesAre(200, '<title>noVNC</title>') },
    'novnc console',
    /closes the console for a browser, and opens it for a program/,
    'load balancer',
    /allowed_origins of nova\.conf/,
  ],
] as const satisfies [string, FakeProxyOptions, string, RegExp, string, RegExp][])(
  'names %s',
  async (_, options, name, detail, side, remedy) => {
    const results = await diagnoseProxy(options, { type: 'novnc' })
    expect(failureIn(results)).toMatchObject({
      ...{ name, side },
      ...{ detail: expect.stringMatching(detail), remedy: expect.stringMatching(remedy) },
    })
    expect(JSON.stringify(results)).not.toContain(CONSOLE_TOKEN)
  },
)

/** Accepts an Upgrade without the header Sec-WebSocket-Protocol. */
const acceptWithoutSubprotocol: FakeProxyOptions['upgrade'] = ({ headers }, socket) => {
  const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11' // RFC 6455 section 1.3
  const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${guid}`).digest('base64')
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  socket.write([...lines, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'))
}

it('names a load balancer that drops the subprotocol', async () => {
  const found = failureIn(await diagnoseProxy({ upgrade: acceptWithoutSubprotocol }, { type: 'novnc' }))
  const remedy = expect.stringContaining('Sec-WebSocket-Protocol')
  expect(found).toMatchObject({ name: 'novnc websocket', side: 'load balancer', remedy })
})

it('names a console that never sends a picture, at the deadline', async () => {
  const found = failureIn(await diagnoseProxy({ speak: () => {} }, { timeoutMs: 200, type: 'novnc' }))
  expect(found).toMatchObject({
    name: 'novnc console',
    side: 'hypervisor',
    detail: expect.stringContaining('no first picture'),
  })
})

it('warns of a page that is neither Oriel’s nor noVNC’s, and passes if the console opens', async () => {
  const results = await diagnoseProxy(pagesAre(200, '<title>Our portal</title>'), { type: 'novnc' })
  const page = results.find(({ name }) => name === 'novnc page')
  expect(page).toMatchObject({ status: 'warning', detail: expect.stringContaining('"Our portal"') })
  expect(results.every(({ status }) => status !== 'failed')).toBe(true)
})

it('names a proxy that does not listen', async () => {
  const port = await freePort()
  await using api = await fakeApi({ consoles: { novnc: `http://127.0.0.1:${port}${NOVNC}` } })
  const found = failureIn(await diagnose(`http://127.0.0.1:${api.port}/v2.1`))
  expect(found).toMatchObject({ name: 'novnc network', remedy: expect.stringContaining('systemctl start oriel-proxy') })
})

const facts = { isOriel: true, isLocal: false, isTls: false }

it.each(['127.0.0.1:6080', 'localhost:6080', '[::1]:6080', '0.0.0.0:6080'])(
  'names a base URL at %s, which other machines cannot reach',
  (host) => {
    const url = `http://${host}${NOVNC}`
    const check = () => checkAccessUrl('novnc', { url, pageUrl: url, expiresAt: undefined }, facts)
    expect(check).toThrow(/which is each user's own machine/)
    expect(check).toThrow(
      expect.objectContaining({ side: 'oriel-api', remedy: expect.stringContaining('consoles.novnc.base_url') }),
    )
  },
)

it('prints no token that a page or a load balancer repeats, even cut off', async () => {
  const echo = { page: `Not here: ${'x'.repeat(30)} ${CONSOLE_TOKEN}`, upgrade: `No route for ${CONSOLE_TOKEN}.` }
  const results = await diagnoseProxy({
    ...pagesAre(200, `<title>${echo.page}</title>`),
    ...upgradesGet('404 Not Found', `<title>${echo.upgrade}</title>`),
  })
  const text = JSON.stringify(results)
  expect(text).toContain('No route for ***')
  expect(text).toMatch(/Not here: x+ \*\*\*/)
  expect(text).not.toContain(CONSOLE_TOKEN.slice(0, 8))
})
