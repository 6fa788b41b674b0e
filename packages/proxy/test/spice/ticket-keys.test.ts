import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import { hex } from '@oriel/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { createTicketKeys, encryptTicket, type TicketKey, type TicketKeys } from '../../src/spice/wire/ticket-keys.ts'

describe('a ticket key', () => {
  let keys: TicketKeys
  let key: TicketKey
  beforeAll(async () => {
    keys = await createTicketKeys(() => {})
    key = keys.current
    return () => keys[Symbol.dispose]()
  })
  const encrypt = (plain: string, oaepHash = 'sha1') =>
    publicEncrypt(
      {
        key: createPublicKey({ key: key.publicKey, format: 'der', type: 'spki' }),
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash,
      },
      Buffer.from(plain),
    )

  it('has a public key of the size that a link reply requires', () => {
    expect(key.publicKey.length).toBe(162)
    expect(key.publicKey.subarray(0, 29)).toEqual(hex('30819f300d06092a864886f70d010101050003818d0030818902818100'))
    expect(key.publicKey.subarray(157)).toEqual(hex('0203010001'))
  })

  it('decrypts a ticket that was encrypted with it', () => {
    const longest = 'x'.repeat(60)
    const encrypted = encryptTicket(key.publicKey, longest)
    expect(encrypted.length).toBe(128)
    expect(key.decrypt(encrypted)).toBe(longest)
  })

  it('decrypts a ticket up to its first NUL', () => {
    expect(key.decrypt(encrypt('abc\0def\0'))).toBe('abc')
  })

  it.each([
    ['an empty ticket', () => encrypt('\0')],
    ['a ticket without NUL', () => encrypt('abc')],
    ['a ticket of 61 characters', () => encrypt(`${'x'.repeat(61)}\0`)],
    ['a control character', () => encrypt('a\nb\0')],
    ['a letter that is not ASCII', () => encrypt('é\0')],
    ['another OAEP hash', () => encrypt('abc\0', 'sha256')],
    ['128 zero bytes', () => Buffer.alloc(128)],
    ['128 bytes of noise', () => Buffer.alloc(128, 0xfe)],
  ])('rejects %s', (_name, encrypted) => {
    expect(key.decrypt(encrypted())).toBeUndefined()
  })

  it('is replaced after an hour, and still decrypts tickets of earlier links', async () => {
    using short = await createTicketKeys(() => {}, 1)
    const first = short.current
    await expect.poll(() => short.current.publicKey.equals(first.publicKey)).toBe(false)
    expect(first.decrypt(encryptTicket(first.publicKey, 'late'))).toBe('late')
    expect(short.current.decrypt(encryptTicket(first.publicKey, 'late'))).toBeUndefined()
  })
})
