import { describe, expect, test } from 'vitest'
import { ConfigError, createLogger, type Logger, logLevel, maskTokens, redactUrl, Secret } from '../src/index.ts'

const TOKEN = '4ba5ca0e-3a3c-4f0b-9d57-hunter2'

function capture(level = 'trace') {
  const lines: string[] = []
  const log = createLogger({ name: 'oriel-test', level, destination: { write: (line) => void lines.push(line) } })
  return { log, lines }
}

describe('CVE-2015-9543 tokens in logs: text', () => {
  test.each([
    [`/?token=${TOKEN}`, '/?token=***'],
    [`/?a=1&token=${TOKEN}&b=2`, '/?a=1&token=***&b=2'],
    [
      `http://h:6080/vnc_lite.html?path=%3Ftoken%3D${TOKEN}&title=web`,
      'http://h:6080/vnc_lite.html?path=%3Ftoken%3D***&title=web',
    ],
    [`/?path=%253Ftoken%253d${TOKEN}`, '/?path=%253Ftoken%253d***'],
    [`/?%74oken=${TOKEN}`, '/?%74oken=***'],
    [`/?TOKEN=${TOKEN}`, '/?TOKEN=***'],
    [`/?token=a&token=${TOKEN}`, '/?token=***&token=***'],
    [`/?token==${TOKEN}`, '/?token=***'],
    [`/?token=a%26${TOKEN}`, '/?token=***'],
    [`/#token=${TOKEN}`, '/#token=***'],
    [`Cookie: token=${TOKEN}; other=1`, 'Cookie: ***'],
    [`other=1; token=${TOKEN}`, 'other=1; token=***'],
    [`token="${TOKEN} x" and`, 'token=*** and'],
    [`X-Auth-Token: ${TOKEN}`, 'X-Auth-Token: ***'],
    [`x-service-token=${TOKEN}`, 'x-service-token=***'],
    [`Authorization: Basic dXNlcjpodW50ZXIy\r\nHost: h`, 'Authorization: ***\r\nHost: h'],
    [`failed with Bearer ${TOKEN}`, 'failed with Bearer ***'],
    [`{ 'X-Auth-Token': '${TOKEN}', a: 1 }`, "{ 'X-Auth-Token': '***', a: 1 }"],
    [`["X-Auth-Token","${TOKEN}","Host","h"]`, '["X-Auth-Token","***","Host","h"]'],
    [`{"token":"${TOKEN}","port":1}`, '{"token":"***","port":1}'],
    [`{\\"password\\":\\"${TOKEN}\\",\\"port\\":1}`, '{\\"password\\":\\"***\\",\\"port\\":1}'],
    [`GET /v2.1/os-console-auth-tokens/${TOKEN} 404`, 'GET /v2.1/os-console-auth-tokens/*** 404'],
    [`GET /v2.1/os%2Dconsole-auth-tokens%2f${TOKEN}?x=1`, 'GET /v2.1/os%2Dconsole-auth-tokens%2f***?x=1'],
    ['postgres://oriel:p@ss@db/oriel', 'postgres://oriel:***@db/oriel'],
    ['jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2ln', 'jwt ***'],
  ])('%s', (text, masked) => {
    expect(maskTokens(text)).toBe(masked)
  })

  test.each([
    'no token cookie, so refused',
    '/vnc_lite.html?title=web',
    'tokens=5',
    'max_sessions=3',
    'http://[::1]:6080/x',
  ])('does not mask %j', (text) => {
    expect(maskTokens(text)).toBe(text)
  })

  test('masking is idempotent', () => {
    const once = maskTokens(`/?token=${TOKEN} X-Auth-Token: a Cookie: b postgres://u:p@h`)
    expect(maskTokens(once)).toBe(once)
  })

  test('a URL object is masked as text', () => {
    expect(redactUrl(new URL(`http://h/?token=${TOKEN}`))).toBe('http://h/?token=***')
  })

  // So long that work which grows with the square of the length takes minutes, and what grows with the length no time.
  test.each([
    'x-'.repeat(500_000),
    '%25'.repeat(300_000),
    'eyJ-'.repeat(250_000),
    '://a:'.repeat(200_000),
    'token='.repeat(200_000),
    'cookie"'.repeat(150_000),
    `authorization${' '.repeat(1_000_000)}`,
    '"token":"'.repeat(100_000),
  ])('hostile text of 1 MB is masked within the test limit (%#)', (text) => {
    expect(maskTokens(text).length).toBeLessThanOrEqual(text.length)
  })
})

describe('CVE-2015-9543 tokens in logs: lines', () => {
  const cause = new Error(`refused /?token=${TOKEN}`)
  const cases: Record<string, (log: Logger) => void> = {
    message: (log) => log.info(`GET /?token=${TOKEN}`),
    'message arguments': (log) => log.info('GET %s %o', `/?token=${TOKEN}`, { cookie: TOKEN }),
    field: (log) => log.debug({ url: `/?path=%3Ftoken%3D${TOKEN}` }, 'upgrade'),
    headers: (log) =>
      log.trace({
        req: {
          headers: {
            authorization: TOKEN,
            cookie: TOKEN,
            'x-auth-token': TOKEN,
            'X-Service-Token': TOKEN,
            referer: `http://h/${TOKEN}`,
          },
        },
      }),
    'deep headers': (log) => log.info({ a: [{ b: { c: { headers: { 'Set-Cookie': [TOKEN] } } } }] }),
    'raw headers': (log) => log.info({ rawHeaders: ['Host', 'h', 'X-Auth-Token', TOKEN] }),
    'named fields': (log) =>
      log.info({ token: TOKEN, service_token: TOKEN, adminPass: TOKEN, ticket: TOKEN, password: TOKEN }),
    'object key': (log) => log.info({ counts: { [`/?token=${TOKEN}`]: 1 } }),
    'JSON in a string': (log) =>
      log.info({ body: JSON.stringify({ auth: { token: TOKEN, x: JSON.stringify({ token: TOKEN }) } }) }),
    error: (log) => log.error(new Error(`GET /?token=${TOKEN} failed`, { cause })),
    'error field': (log) =>
      log.error({ err: Object.assign(new Error('x', { cause }), { config: { headers: { Cookie: TOKEN } } }) }, 'y'),
    'error under another name': (log) => log.error({ error: cause, reason: cause }),
    'aggregate error': (log) => log.error({ err: new AggregateError([cause, cause], 'all failed') }),
    'child binding': (log) => log.child({ url: `/?token=${TOKEN}` }).info('x'),
    secret: (log) => log.info({ config: { value: new Secret(TOKEN) } }, `${new Secret(TOKEN)}`),
    'line breaks': (log) => log.info(`a\r\nCookie: token=${TOKEN}\r\n{"level":"fatal"}`),
  }

  test.each(Object.entries(cases))('%s', (_, write) => {
    const { log, lines } = capture()
    write(log)
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain('hunter2')
    expect(lines[0]).toContain('***')
    expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1)
  })
})

test('a log line is a JSON object with ISO time, level as a word and the name', () => {
  const { log, lines } = capture()
  log.warn({ address: '127.0.0.1:1' }, 'listening')
  const line = JSON.parse(lines[0]!)
  expect(line).toEqual({
    level: 'warn',
    time: expect.any(String),
    name: 'oriel-test',
    address: '127.0.0.1:1',
    msg: 'listening',
  })
  expect(new Date(line.time).toISOString()).toBe(line.time)
})

test('a logged error keeps its type, message, stack and cause', () => {
  const { log, lines } = capture()
  log.error({ err: new TypeError('outer', { cause: new Error('inner') }) }, 'it failed')
  const { err, msg } = JSON.parse(lines[0]!)
  expect(msg).toBe('it failed')
  expect(err).toMatchObject({ type: 'TypeError', message: 'outer: inner' })
  expect(err.stack).toMatch(/log\.test\.ts[\s\S]*caused by: Error: inner/)
})

test('a logger drops lines below its level', () => {
  const { log, lines } = capture('warn')
  log.info('no')
  log.error('yes')
  expect(lines).toHaveLength(1)
})

test('the log level comes from the environment, and an unknown one is refused', () => {
  expect(logLevel({})).toBe('info')
  expect(logLevel({ ORIEL_LOG_LEVEL: ' DEBUG ' })).toBe('debug')
  expect(() => createLogger({ name: 'x', level: 'loud' })).toThrow(ConfigError)
  expect(() => createLogger({ name: 'x', level: 'loud' })).toThrow(
    /ORIEL_LOG_LEVEL: "loud" is not a log level, give one of trace/,
  )
})
