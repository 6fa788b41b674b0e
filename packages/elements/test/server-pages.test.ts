/** The home page's list of machines: its address, and the APIs that it reads. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { pagesOf, readListState, withListState } from '../src/pages/list-query.ts'
import { pageOf } from '../src/pages/nova-servers.ts'
import type { ServerRow } from '../src/pages/server-page.ts'
import { consolesOf, serversAt } from '../src/pages/servers.ts'
import { sessionText } from '../src/pages/session-list.ts'
import { reasonOf, statusWord } from '../src/pages/status-words.ts'

const every = { search: '', status: '', page: 1, screens: false }

describe('the address of the list', () => {
  it.each([
    ['http://h/?search=web+1&status=active&page=3', { search: 'web 1', status: 'ACTIVE', page: 3, screens: false }],
    ['http://h/?screens=1', { ...every, screens: true }],
    ['http://h/?screens=yes', every],
    ['http://h/', every],
    ['http://h/?page=0', every],
    ['http://h/?page=-1', every],
    ['http://h/?page=1.5', every],
    ['http://h/?page=1e99', every],
    [`http://h/?search=${'x'.repeat(300)}`, { ...every, search: 'x'.repeat(255) }],
  ])('is read: %s', (address, query) => {
    expect(readListState(address)).toEqual(query)
  })

  it('keeps search, status, page and screens, and other parameters', () => {
    const query = { search: 'a&b=c', status: 'SHUTOFF', page: 2, screens: true }
    const address = withListState('http://h/console/?x=1', query)
    expect(readListState(address)).toEqual(query)
    expect(withListState(address, every)).toBe('http://h/console/?x=1')
  })

  it('has at least one page', () => {
    expect([0, 1, 50, 51, 300].map(pagesOf)).toEqual([1, 1, 1, 2, 6])
  })
})

const row = (changes: Partial<ServerRow> = {}): ServerRow => ({
  ...{ id: 'a', name: 'web-1', status: 'ACTIVE', consoles: null, unavailable: null, unanswered_since: null },
  ...changes,
})

describe('the list of a Nova', () => {
  const rows = Array.from({ length: 120 }, (_, i) =>
    row({ id: `id-${i}`, name: `web-${i}`, status: i % 10 === 0 ? 'SHUTOFF' : 'ACTIVE' }),
  )

  it('is sorted and cut into pages', () => {
    const page = pageOf(rows.toReversed(), { ...every, page: 3 })
    expect([page.servers.length, page.servers[0]?.name, page.total]).toEqual([20, 'web-100', 120])
  })

  it('is searched by name and id, and counts statuses regardless of the chosen one', () => {
    const page = pageOf(rows, { search: ' WEB-11', status: 'SHUTOFF', page: 1 })
    expect(page.servers.map(({ name }) => name)).toEqual(['web-110'])
    expect(page.statuses).toEqual([
      { status: 'ACTIVE', servers: 10 },
      { status: 'SHUTOFF', servers: 1 },
    ])
    expect(pageOf(rows, { ...every, search: 'ID-7' }).total).toBe(11)
  })
})

describe('serversAt', () => {
  afterEach(() => vi.unstubAllGlobals())
  const { signal } = new AbortController()
  const fault = (code: number) => Response.json({ fault: { code, message: 'No.' } }, { status: code })
  const nova = { id: 'n', name: 'nova', status: 'SHUTOFF' }

  /** Answers requests by the start of their path and query, and returns those that came. */
  function answer(answers: Readonly<Record<string, () => Response>>): string[] {
    const asked: string[] = []
    vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url)
      asked.push(`${pathname}${search}${typeof init.body === 'string' ? ` ${init.body}` : ''}`)
      return Object.entries(answers).find(([start]) => (pathname + search).startsWith(start))?.[1]() ?? fault(404)
    })
    return asked
  }

  it("asks Oriel's API for one page", async () => {
    const page = { servers: [], total: 120, statuses: [], may: { open: [], list_sessions: true, end_sessions: true } }
    const asked = answer({ '/oriel/v1/servers': () => Response.json(page) })
    expect(await serversAt('http://h', 't').list({ search: ' a ', status: 'ACTIVE', page: 3 }, signal)).toEqual(page)
    expect(asked).toEqual(['/oriel/v1/servers?search=a&status=ACTIVE&limit=50&offset=100'])
  })

  it('reads all pages of a Nova, of the own project if others are forbidden, and does not ask for the extension again', async () => {
    const version = { id: 'v2.1', status: 'CURRENT', version: '2.104', min_version: '2.1', updated: '', links: [] }
    const full = (id: string) => ({ ...nova, id, links: [] })
    const asked = answer({
      '/v2.1/servers/detail?all_tenants=1': () => fault(403),
      '/v2.1/servers/detail?marker=n': () => Response.json({ servers: [full('m')] }),
      '/v2.1/servers/detail': () => Response.json({ servers: [full('n')], servers_links: [{ rel: 'next', href: '' }] }),
      '/v2.1/': () => Response.json({ version }),
      '/v2.1': () => Response.json({ version }),
    })
    const servers = serversAt('http://h', 't')
    const { servers: found, may } = await servers.list(every, signal)
    expect(found.map(({ id, unavailable }) => [id, unavailable])).toEqual([
      ['n', 'off'],
      ['m', 'off'],
    ])
    expect(may).toEqual({ open: ['control'], list_sessions: false, end_sessions: false })
    await servers.list(every, signal)
    expect(asked.filter((path) => path.startsWith('/oriel'))).toHaveLength(1)
  })

  it('opens a console for watching by the extension, with the name as its title', async () => {
    const url = 'http://c/vnc_lite.html?path=%3Ftoken%3Dx'
    const console = { protocol: 'vnc', type: 'novnc', role: 'watch', label: null, single_use: false, url }
    const asked = answer({
      '/oriel/v1/servers/a/consoles': () =>
        Response.json({ console: { ...console, expires_at: '2026-11-28T09:00:00Z' } }),
    })
    const opened = await serversAt('http://h', 't').openConsole({ id: 'a', name: 'web' }, 'novnc', 'watch')
    expect(new URL(opened).searchParams.get('title')).toBe('web')
    expect(asked).toEqual(['/oriel/v1/servers/a/consoles {"type":"novnc","role":"watch"}'])
  })

  it('requests the picture of a screen', async () => {
    answer({
      '/oriel/v1/servers/a/screenshot': () => new Response('png', { headers: { 'Content-Type': 'image/png' } }),
    })
    expect((await serversAt('http://h', 't').screen('a', signal)).type).toBe('image/png')
  })

  it('shows no sessions once their list is forbidden', async () => {
    answer({ '/oriel/v1/sessions?state=open': () => fault(403) })
    expect(await serversAt('http://h', 't').sessions(signal)).toEqual([])
  })
})

describe('consolesOf', () => {
  it.each([
    [null, 'control', ['novnc', 'serial', 'webmks']],
    [['serial', 'spice-html5'], 'control', ['serial']],
    [[], 'control', []],
    [['novnc', 'webmks'], 'watch', ['novnc']],
  ] as const)('of a machine with %j offers with the role %s: %j', (consoles, role, offered) => {
    expect(consolesOf({ consoles }, ['novnc', 'serial', 'webmks'], role)).toEqual(offered)
  })
})

describe('the words of the list', () => {
  it.each([
    ['ACTIVE', 'Active'],
    ['VERIFY_RESIZE', 'Verify resize'],
    ['SHUTOFF', 'Shut off'],
  ])('name the status %s: %s', (status, word) => {
    expect(statusWord(status)).toBe(word)
  })

  it('give the reason why a console cannot be opened', () => {
    expect(reasonOf(row({ unavailable: 'off' }))).toMatch(/^The machine is off\./)
    expect(reasonOf(row({ unanswered_since: '2020-01-02T03:04:05Z' }))).toMatch(/has not answered since .*2020/)
    expect(reasonOf(row())).toBe('')
  })

  it('name the person by the label, or by the user, and the use of the console', () => {
    const session = {
      id: 's',
      server_id: 'a',
      user_id: 'ann',
      type: 'novnc',
      client_address: '::1',
      started_at: '2020-01-02T03:04:05Z',
    }
    expect(sessionText({ ...session, label: 'Bea', role: 'watch' })).toMatch(
      /^Bea · Screen, watches · since .*2020.* · ::1$/,
    )
    expect(sessionText({ ...session, label: null, role: 'control', type: 'future' })).toMatch(/^ann · future · since /)
  })
})
