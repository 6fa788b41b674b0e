import { closeReason, REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'

/** Dials a console and reports why it closed, or why the proxy did not open it. */
export function dial(address: string, closed: (why: string, reopen: boolean) => void): WebSocket {
  const socket = new WebSocket(address, ['binary', REFUSALS_SUBPROTOCOL])
  socket.addEventListener('close', ({ code, reason }) => {
    const meaning = closeReason(code, reason)
    closed(meaning?.text ?? 'The connection broke.', meaning?.remedy !== 'new-console')
  })
  return socket
}
