/** Pads the encrypted tickets of spice-html5 to the length at which QEMU can decrypt them. */

/** The protocol's SPICE_TICKET_KEY_PAIR_LENGTH: RSA with 1024 bits. */
export const ticketBytes = 128

/** The method that all channels of the library inherit. */
export interface TicketSender {
  send_ticket(encrypted: readonly number[] | null): void
}

const mended = new WeakSet<TicketSender>()

/**
 * Makes every channel that inherits from `channels` send tickets of full length. The library writes the RSA result
 * without leading zero bytes, which about one ticket in two hundred has; QEMU then reports a wrong password.
 */
export function sendWholeTickets(channels: TicketSender): void {
  const { send_ticket: send } = channels
  // An operator may have replaced the library by a version without this method.
  if (mended.has(channels) || typeof send !== 'function') return
  mended.add(channels)
  channels.send_ticket = function (encrypted) {
    send.call(this, encrypted && wholeTicket(encrypted))
  }
}

/** Pads the ciphertext with leading zeros to the length of the key. */
export function wholeTicket(encrypted: readonly number[]): readonly number[] {
  const missing = Math.max(0, ticketBytes - encrypted.length)
  return [...Array.from({ length: missing }, () => 0), ...encrypted]
}
