import { createCipheriv, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import { Secret } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { requireCredential } from '../../src/admit/credential.ts'
import type { ResumeGrant } from '../../src/resume/grant.ts'
import { randomKey, Seal } from '../../src/resume/seal.ts'
import { type TicketOptions, Tickets } from '../../src/resume/tickets.ts'

const MINUTE = 60_000
const GRANT: ResumeGrant = {
  ...{ sessionId: 's1', instance: 'i1', type: 'novnc', role: 'watch', label: 'Bob “ÿ”', tokenDigest: 'd'.repeat(64) },
  ...{ token: new Secret('the-token-of-the-test'), handle: 'h1', openedAt: 1_000 },
}

function ticketing(options: Partial<Omit<TicketOptions, 'now'>> = {}) {
  const clock = { ms: 1_000 }
  const seal = options.seal ?? new Seal(randomKey())
  const tickets = new Tickets({ resumeMs: 60 * MINUTE, maxSessionMs: 0, ...options, seal, now: () => clock.ms })
  const issue = (grant = GRANT) => tickets.issue(tickets.sealGrant(grant))!
  return { tickets, seal, clock, issue }
}

const joined = (...keys: readonly Secret[]) => new Secret(keys.map((key) => key.reveal()).join('\n'))

describe('a resume ticket', () => {
  it('returns the grant that it was issued from', () => {
    const { tickets, issue } = ticketing()
    const { token, ...grant } = tickets.open(issue().ticket)!
    expect({ ...grant, token: token!.reveal() }).toEqual({
      ...{ ...GRANT, token: 'the-token-of-the-test' },
      notAfter: 1_000 + 60 * MINUTE,
    })
  })

  it('is different each time, so that two of one console cannot be recognised', () => {
    const { issue } = ticketing()
    expect(issue().ticket.reveal()).not.toBe(issue().ticket.reveal())
  })

  it('does not open with any one bit flipped, or any number of characters cut off or added', () => {
    const { tickets, issue } = ticketing()
    const text = issue().ticket.reveal()
    const bytes = Buffer.from(text, 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(tickets.open(new Secret(flipped.toString('base64url'))), `bit ${bit}`).toBeUndefined()
    }
    for (let length = 0; length < text.length; length += 1)
      expect(tickets.open(new Secret(text.slice(0, length))), `${length} characters`).toBeUndefined()
    for (const more of ['A', 'AAAA', '=', '.', text]) expect(tickets.open(new Secret(text + more))).toBeUndefined()
    expect(tickets.open(new Secret(text))).toBeDefined()
  })

  it('does not open in a second spelling of the same bytes', () => {
    const { tickets, seal } = ticketing()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const pad of ['', 'x', 'xx']) {
      const sealed = seal.seal('purpose', pad).reveal()
      const same = [...alphabet].map((last) => sealed.slice(0, -1) + last)
      expect(same.filter((text) => seal.open('purpose', text) !== undefined)).toEqual([sealed])
    }
    expect(tickets.open(new Secret('a ticket'))).toBeUndefined()
  })

  it('does not open in another version of the format, although the key is right', () => {
    const key = randomKey()
    const sealed = (version: number) => {
      const derived = (info: string, length: number) => Buffer.from(hkdfSync('sha256', key.reveal(), '', info, length))
      const header = Buffer.concat([Buffer.of(version), derived('oriel resume key id', 4)])
      const nonce = Buffer.alloc(12)
      const cipher = createCipheriv('aes-256-gcm', derived('oriel resume key', 32), nonce)
      cipher.setAAD(Buffer.concat([header, Buffer.from('purpose')]))
      const body = Buffer.concat([cipher.update('text'), cipher.final()])
      return Buffer.concat([header, nonce, body, cipher.getAuthTag()]).toString('base64url')
    }
    const seal = new Seal(key)
    expect([seal.open('purpose', sealed(1)), seal.open('purpose', sealed(2))]).toEqual(['text', undefined])
  })

  it('does not open under another key', () => {
    const { issue } = ticketing()
    expect(ticketing().tickets.open(issue().ticket)).toBeUndefined()
  })

  it('opens while its key is on any line, and not once the key is removed', () => {
    const [older, newer] = [randomKey(), randomKey()]
    const seal = new Seal(older)
    const { tickets, issue } = ticketing({ seal })
    const { ticket } = issue()
    seal.rekey(joined(newer, older))
    expect(tickets.open(ticket)).toBeDefined()
    const sealedByNewer = issue().ticket
    seal.rekey(newer)
    expect(tickets.open(ticket)).toBeUndefined()
    expect(tickets.open(sealedByNewer)).toBeDefined()
  })

  it('expires', () => {
    const { tickets, clock, issue } = ticketing()
    const { ticket } = issue()
    clock.ms += 60 * MINUTE - 1
    expect(tickets.open(ticket)).toBeDefined()
    clock.ms += 1
    expect(tickets.open(ticket)).toBeUndefined()
  })

  it('expires with the longest session, counted from the first opening, and is not issued after that', () => {
    const { tickets, clock, issue } = ticketing({ maxSessionMs: 90 * MINUTE })
    clock.ms += 60 * MINUTE
    const { ticket, expiresAt } = issue()
    expect(expiresAt.getTime()).toBe(1_000 + 90 * MINUTE)
    clock.ms += 30 * MINUTE
    expect(tickets.open(ticket)).toBeUndefined()
    expect(tickets.issue(tickets.sealGrant(GRANT))).toBeUndefined()
  })

  it('expires with the token if that ends sessions', () => {
    const { issue } = ticketing()
    expect(issue({ ...GRANT, expiresAt: 5 * MINUTE }).expiresAt.getTime()).toBe(5 * MINUTE)
  })

  it('opens nothing if resume_seconds is 0, even if another proxy issued it', () => {
    const { seal, issue } = ticketing()
    const { tickets } = ticketing({ seal, resumeMs: 0 })
    expect(tickets.enabled).toBe(false)
    expect(tickets.open(issue().ticket)).toBeUndefined()
  })

  it('is not the sealed grant that the proxy keeps, which opens no console', () => {
    const { tickets } = ticketing()
    const grant = tickets.sealGrant(GRANT)
    expect(tickets.open(new Secret(grant))).toBeUndefined()
    expect(tickets.issue(tickets.issue(grant)!.ticket.reveal())).toBeUndefined()
  })

  it('has no readable part, and prints as ***', () => {
    const { tickets, issue } = ticketing()
    const issued = issue()
    expect(inspect(issued) + JSON.stringify(issued)).not.toContain(issued.ticket.reveal())
    const bytes = Buffer.from(issued.ticket.reveal() + tickets.sealGrant(GRANT), 'base64url').toString('latin1')
    for (const part of ['the-token', 'novnc', 'watch', 'i1"']) expect(bytes).not.toContain(part)
  })
})

describe('the credential of a request', () => {
  const of = (target: string, { cookie, subprotocols = [] }: { cookie?: string; subprotocols?: string[] } = {}) => {
    const credential = requireCredential({ target, cookie, subprotocols })
    return Object.entries(credential).map(([kind, secret]) => `${kind} ${secret.reveal()}`)[0]
  }
  const refusal = (refused: string) => expect.objectContaining({ name: 'Refused', refusal: refused })

  it('is the token without a ticket', () => {
    expect(of('/?token=abc', { subprotocols: ['binary', 'oriel.refusals'] })).toBe('token abc')
    expect(of('/?resume=&token=abc')).toBe('token abc')
  })

  it('is the offered ticket before everything else', () => {
    const subprotocols = ['binary', 'oriel.ticket.ttt']
    expect(of('/?token=abc&resume=h', { subprotocols, cookie: '__Host-oriel-h=ccc' })).toBe('ticket ttt')
  })

  it('is the ticket in the cookie that the address names, before the token', () => {
    const cookie = 'token=abc; __Host-oriel-other=no; __Host-oriel-h=ccc; x=y'
    expect(of('/?token=abc&resume=h', { cookie })).toBe('ticket ccc')
  })

  it.each([
    ['no cookie', undefined],
    ['the cookie of another console', '__Host-oriel-other=ccc'],
    ['an empty cookie', '__Host-oriel-h='],
    ['a cookie that is no ticket', '__Host-oriel-h=a.b'],
  ])('is refused as unknown if the address names a cookie and the browser has %s', (_, cookie) => {
    expect(() => of('/?token=abc&resume=h', cookie === undefined ? {} : { cookie })).toThrow(refusal('unknown_token'))
  })

  it('is refused if several tickets are offered', () => {
    expect(() => of('/', { subprotocols: ['oriel.ticket.a', 'oriel.ticket.b'] })).toThrow(refusal('bad_request'))
  })
})
