import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { raw, running } from '../fixture.ts'

const LONG = `export const long = '${'x'.repeat(5000)}'`

/** A proxy with pages, and a file next to their folder that must not be served. */
async function withPages(toml = '') {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await temporaryFolder())
  const pages = join(folder.path, 'pages')
  await mkdir(join(pages, 'assets'), { recursive: true })
  await writeFile(join(folder.path, 'secret.txt'), 'secret')
  await writeFile(join(pages, 'index.html'), '<title>home</title>')
  await writeFile(join(pages, 'vnc.html'), '<title>vnc</title>')
  await writeFile(join(pages, 'assets', 'vnc-1a2b3c4d.js'), 'export {}')
  await writeFile(join(pages, 'assets', 'plain.css'), 'a{}')
  await writeFile(join(pages, 'assets', 'long-1a2b3c4d.js'), LONG)
  await writeFile(join(pages, 'assets', 'long-1a2b3c4d.js.br'), brotliCompressSync(LONG))
  await writeFile(join(pages, 'assets', 'long-1a2b3c4d.js.gz'), gzipSync(LONG))
  await writeFile(join(pages, 'assets', 'replaced.js'), LONG)
  await writeFile(join(pages, 'assets', 'replaced.js.br'), brotliCompressSync(`${LONG}, as it was before`))
  await writeFile(join(pages, 'run.sh'), 'no page')
  await symlink(join(folder.path, 'secret.txt'), join(pages, 'link.txt'))
  const proxy = opened.use(await running({ pages, toml }))
  const close = opened.move()
  const get = (path: string, method = 'GET', headers: string[] = []) =>
    raw(proxy.address, [`${method} ${path} HTTP/1.1`, 'Host: h', 'Connection: close', ...headers])
  const reported = () => proxy.log.lines.map((line) => JSON.parse(line)).filter((record) => 'line' in record)
  return { get, reported, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

describe('the console pages', () => {
  it.each([
    ['/', '<title>home</title>', 'text/html; charset=utf-8', 'no-cache'],
    ['/index.html', '<title>home</title>', 'text/html; charset=utf-8', 'no-cache'],
    ['/vnc.html', '<title>vnc</title>', 'text/html; charset=utf-8', 'no-cache'],
    ['/vnc_lite.html?path=%3Ftoken%3Dx&title=a(b)', '<title>vnc</title>', 'text/html; charset=utf-8', 'no-cache'],
    ['/vnc_auto.html', '<title>vnc</title>', 'text/html; charset=utf-8', 'no-cache'],
    ['/assets/vnc-1a2b3c4d.js', 'export {}', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['/assets/plain.css', 'a{}', 'text/css; charset=utf-8', 'no-cache'],
    ['/oriel.json', '{"api_url":null,"consoles":["novnc"]}', 'application/json', 'no-cache'],
  ])('serve %s with its type and cache headers', async (path, body, type, cache) => {
    await using site = await withPages()
    const answer = await site.get(path)
    expect(answer).toMatchObject({ status: 200, body })
    expect(answer.head).toContain(`\r\nContent-Type: ${type}\r\n`)
    expect(answer.head).toContain(`\r\nCache-Control: ${cache}\r\n`)
    expect(await site.get(path, 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  it('have a strict content security policy and send no referrer', async () => {
    await using site = await withPages(
      '[origin]\nallowed = ["https://portal.example", "other.example"]\n[home]\napi_url = "https://api.example:8774/x"',
    )
    const { head } = await site.get('/vnc.html')
    expect(head).toContain(
      "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
        "media-src 'self' blob:; " +
        "connect-src 'self' ws: wss: https://api.example:8774; font-src 'self'; form-action 'none'; base-uri 'none'; " +
        "frame-ancestors 'self' https://portal.example:* other.example:*\r\n",
    )
    expect(head).toContain('\r\nReferrer-Policy: no-referrer\r\n')
    expect(head).toContain('\r\nX-Content-Type-Options: nosniff\r\n')
    expect(JSON.parse((await site.get('/oriel.json')).body)).toMatchObject({ api_url: 'https://api.example:8774/x' })
  })

  it('are answered with 304 when the browser has them', async () => {
    await using site = await withPages()
    const etag = /ETag: (\S+)/.exec((await site.get('/vnc.html')).head)![1]
    expect(await site.get('/vnc.html', 'GET', [`If-None-Match: ${etag}`])).toMatchObject({ status: 304, body: '' })
  })

  it.each([
    '//',
    '///',
    '//evil.example/..',
    '///evil.example/%2e%2e',
    '/\\evil.example',
    '/\\/evil.example',
    '/%2f%2fevil.example',
    '/%5cevil.example',
    '/%0d%0aLocation:%20http://evil.example',
    '/assets',
    '/assets/',
    '/assets//plain.css',
    '/assets/../vnc.html',
    '/assets%2fplain.css',
    '/./vnc.html',
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/vnc.html%00',
    '/vnc.html/',
    '/VNC.html',
    '/link.txt',
    '/run.sh',
    '/constructor',
    '/__proto__',
    '/readyz',
    '/metrics',
    'http://evil.example/vnc.html',
  ])('CVE-2021-3654 open redirect, CVE-2024-23340 static files: answer %s with 404', async (path) => {
    await using site = await withPages()
    const { status, head, body } = await site.get(path)
    expect({ status, fault: JSON.parse(body) }).toEqual({
      status: 404,
      fault: { itemNotFound: { code: 404, message: 'Not found: no page has this path.' } },
    })
    expect(head.toLowerCase()).not.toContain('location')
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('terminate by GET: answer %s with 405', async (method) => {
    await using site = await withPages()
    const answer = await site.get('/vnc.html', method)
    expect(answer.status).toBe(405)
    expect(answer.head).toContain('\r\nAllow: GET, HEAD')
  })

  it('are not served without a folder', async () => {
    await using proxy = await running()
    expect(await raw(proxy.address, ['GET /vnc.html HTTP/1.1', 'Host: h', 'Connection: close'])).toMatchObject({
      status: 404,
    })
  })
})

describe('a compressed console page', () => {
  const PATH = '/assets/long-1a2b3c4d.js'
  const headerOf = (head: string, name: string) => new RegExp(`\\r\\n${name}: (.*)\\r\\n`).exec(`${head}\r\n`)?.[1]

  it.each([
    ['gzip, deflate, br, zstd', 'br', brotliCompressSync(LONG).length],
    ['gzip', 'gzip', gzipSync(LONG).length],
    ['BR;q=0.1', 'br', brotliCompressSync(LONG).length],
    ['br;q=0, *', 'gzip', gzipSync(LONG).length],
    ['identity', undefined, LONG.length],
    ['br;q=0, gzip;q=0', undefined, LONG.length],
    ['', undefined, LONG.length],
  ])('for Accept-Encoding "%s" is sent as %s, also to HEAD', async (accepted, coding, length) => {
    await using site = await withPages()
    for (const method of ['GET', 'HEAD']) {
      const { status, head } = await site.get(PATH, method, [`Accept-Encoding: ${accepted}`])
      expect(status).toBe(200)
      expect(headerOf(head, 'Content-Encoding')).toBe(coding)
      expect(headerOf(head, 'Content-Length')).toBe(String(length))
      expect(headerOf(head, 'Content-Type')).toBe('text/javascript; charset=utf-8')
      expect(headerOf(head, 'Vary')).toBe('Accept-Encoding')
    }
  })

  it('has a tag for each coding, and is answered with 304 for the same one', async () => {
    await using site = await withPages()
    const tags = await Promise.all(
      ['br', 'gzip', 'identity'].map(async (coding) => {
        const { head } = await site.get(PATH, 'GET', [`Accept-Encoding: ${coding}`])
        return headerOf(head, 'ETag')
      }),
    )
    expect(new Set(tags).size).toBe(3)
    const get = (coding: string) => site.get(PATH, 'GET', [`Accept-Encoding: ${coding}`, `If-None-Match: ${tags[0]}`])
    const unchanged = await get('br')
    expect(unchanged).toMatchObject({ status: 304, body: '' })
    expect(headerOf(unchanged.head, 'Vary')).toBe('Accept-Encoding')
    expect(await get('gzip')).toMatchObject({ status: 200 })
  })

  it('is sent as it is if its file was replaced after the build', async () => {
    await using site = await withPages()
    expect(await site.get('/assets/replaced.js', 'GET', ['Accept-Encoding: br'])).toMatchObject({ body: LONG })
  })

  it('is not served at the path of its compressed copy', async () => {
    await using site = await withPages()
    expect(await site.get(`${PATH}.br`)).toMatchObject({ status: 404 })
  })
})

describe('a console page in a frame', () => {
  const framed = (site: string, ...more: string[]) => ['Sec-Fetch-Dest: iframe', `Sec-Fetch-Site: ${site}`, ...more]
  const HORIZON = 'Referer: https://horizon.example:8443/project/instances/1/?tab=console'

  it.each(['cross-site', 'same-site'])(
    'of a %s page that is not allowed shows a notice with the missing origin',
    async (from) => {
      await using site = await withPages()
      const { status, head, body } = await site.get(
        '/vnc_lite.html?path=%3Ftoken%3Dsecret',
        'GET',
        framed(from, HORIZON),
      )
      expect(status).toBe(403)
      expect(body).toContain('may not be shown inside https://horizon.example<')
      expect(body).toContain('origin.allowed = ["https://horizon.example"]')
      expect(body).not.toMatch(/script|secret|8443/)
      expect(head).toMatch(
        /Content-Security-Policy: default-src 'none'; style-src 'sha256-[^']+'; .*frame-ancestors \*\r\n/,
      )
      expect(head).toContain('\r\nX-Content-Type-Options: nosniff\r\n')
      expect(head).toContain('\r\nCache-Control: no-store\r\n')
    },
  )

  it('is logged once for each origin, with the line that adds it to the configured ones', async () => {
    await using site = await withPages('[origin]\nallowed = ["https://portal.example"]')
    for (let i = 0; i < 3; i += 1) await site.get('/vnc.html', 'GET', framed('cross-site', HORIZON))
    expect(site.reported()).toMatchObject([
      {
        level: 'warn',
        origin: 'https://horizon.example',
        line: 'origin.allowed = ["https://portal.example", "https://horizon.example"]',
      },
    ])
  })

  it.each([
    ['an allowed page', framed('cross-site', 'Referer: https://portal.example/')],
    ['a page of the proxy itself', framed('same-origin', 'Referer: http://h/')],
    ['an unnamed page, which may be the allowed one', framed('cross-site')],
    ['any page after the user followed a link in it', framed('cross-site', HORIZON, 'Sec-Fetch-User: ?1')],
    ['a tab, without an embedding page', ['Sec-Fetch-Dest: document', 'Sec-Fetch-Site: cross-site', HORIZON]],
    ['a page of another host without Fetch Metadata', [HORIZON]],
  ])('of %s is served, since frame-ancestors decides', async (_, headers) => {
    await using site = await withPages('[origin]\nallowed = ["portal.example"]')
    expect(await site.get('/vnc.html', 'GET', headers)).toMatchObject({ status: 200, body: '<title>vnc</title>' })
  })

  it('of an unnamed page shows a notice if no origin is allowed', async () => {
    await using site = await withPages()
    const { status, body } = await site.get('/vnc.html', 'GET', framed('cross-site', 'Referer: https://<b>/"'))
    expect(status).toBe(403)
    expect(body).toContain('may not be shown inside a page of another site<')
    expect(site.reported()).toEqual([])
  })

  it('over plain http is served, and logged as a hint', async () => {
    await using site = await withPages()
    await site.get('/vnc.html', 'GET', [HORIZON])
    await site.get('/vnc.html', 'GET', ['Referer: http://h:8080/'])
    expect(site.reported()).toMatchObject([{ level: 'info', origin: 'https://horizon.example' }])
  })
})
