import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { create_rsa_from_mb, rsa_encrypt } from '@spice-project/spice-html5/src/ticket.js'
import { describe, expect, it } from 'vitest'
import { sendWholeTickets, ticketBytes, wholeTicket } from '../src/spice/tickets.ts'

describe('wholeTicket', () => {
  it('pads a short ticket with leading zeros, and returns a whole one unchanged', () => {
    expect(wholeTicket([1, 2])).toEqual([...Array.from({ length: ticketBytes - 2 }, () => 0), 1, 2])
    const whole = Array.from({ length: ticketBytes }, (_, i) => i)
    expect(wholeTicket(whole)).toEqual(whole)
  })

  it('lets a machine decrypt every ticket of the library', () => {
    const { publicKey, privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const rsa = create_rsa_from_mb(publicKey.export({ type: 'spki', format: 'der' }), 0)
    const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }
    for (let i = 0; i < 500; i += 1) {
      const ticket = wholeTicket(rsa_encrypt(rsa, 'secret\0'))
      expect(privateDecrypt(oaep, Buffer.from(ticket)).toString()).toBe('secret\0')
    }
  })
})

it('sendWholeTickets pads the tickets of every channel, and can be called repeatedly', () => {
  const sent: unknown[] = []
  const channels = { send_ticket: (encrypted: readonly number[] | null) => void sent.push(encrypted) }
  sendWholeTickets(channels)
  const once = channels.send_ticket
  sendWholeTickets(channels)
  expect(channels.send_ticket).toBe(once)
  const display = Object.create(channels) as typeof channels
  display.send_ticket([7])
  display.send_ticket(null)
  expect(sent).toEqual([wholeTicket([7]), null])
})
