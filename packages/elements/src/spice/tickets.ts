/** The tickets of spice-html5, brought to the length at which a machine can decrypt them. */

/** SPICE_TICKET_KEY_PAIR_LENGTH of the protocol: RSA with 1024 bits. */
export const ticketBytes = 128

/** What all channels of the library inherit. */
export interface TicketSender {
  send_ticket(encrypted: readonly number[] | null): void
}

const mended = new WeakSet<TicketSender>()

/**
 * Makes every channel below `channels` send whole tickets. RSA gives a number, and the library writes it without the zero
 * bytes at its beginning, which one in about two hundred has: the machine takes such a ticket for a wrong password.
 */
export function sendWholeTickets(channels: TicketSender): void {
  const { send_ticket: send } = channels
  // A library that was put in its place may do this otherwise.
  if (mended.has(channels) || typeof send !== 'function') return
  mended.add(channels)
  channels.send_ticket = function (encrypted) {
    send.call(this, encrypted && wholeTicket(encrypted))
  }
}

/** The same number in as many bytes as its key has. */
export function wholeTicket(encrypted: readonly number[]): readonly number[] {
  const missing = Math.max(0, ticketBytes - encrypted.length)
  return [...Array.from({ length: missing }, () => 0), ...encrypted]
}
