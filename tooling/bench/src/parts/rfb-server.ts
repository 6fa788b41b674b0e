/** The server side of QEMU's RFB 3.8 handshake with security type None (RFC 6143 section 7.1). */
import type { Socket } from 'node:net'

/** 800 × 600 pixels, their format and the desktop's name (RFC 6143 section 7.3.2). */
const SERVER_INIT = Buffer.concat([
  Buffer.from('03200258' + '20180001' + '00ff00ff00ff1008' + '00000000' + '00000018', 'hex'),
  Buffer.from('QEMU (instance-00000001)'),
])

/** Sends one reply for each message of the client, and calls `done` after ServerInit. */
export function handshake(socket: Socket, done: () => void): void {
  const answers = [Buffer.from('RFB 003.008\n'), Buffer.of(1, 1), Buffer.of(0, 0, 0, 0), SERVER_INIT]
  const next = () => {
    socket.write(answers.shift()!)
    if (answers.length > 0) socket.once('data', next)
    else done()
  }
  next()
}

/** Answers ClientInit, and calls `done` after ServerInit. */
export function initialise(socket: Socket, done: () => void): void {
  socket.once('data', () => {
    socket.write(SERVER_INIT)
    done()
  })
}
