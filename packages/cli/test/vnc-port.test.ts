/** The local port of `oriel vnc`: the sentences after the end of a console. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import type { Again } from '../src/console/dial.ts'
import { meaningOf } from '../src/console/dial.ts'
import { openVncPort, type VncPort } from '../src/viewer/vnc-port.ts'

/** Opens a port whose consoles end with this close code at once, and returns its next sentence. */
async function openPort(code: number) {
  const said: string[] = []
  const open = async (again: Again) => {
    const stream = new PassThrough()
    stream.end()
    return { stream, closed: Promise.resolve(meaningOf(code, '', again)), close: async () => {} }
  }
  const port = await openVncPort({ listen: { host: '127.0.0.1', port: 0 }, open, say: (text) => said.push(text) })
  return { port, said, [Symbol.dispose]: () => port.close() }
}

const connectViewer = ({ address }: VncPort) => once(connect(address).resume(), 'close')

it.each([
  [1006, 'The connection to the console broke. Connect the viewer again: the local port still listens.'],
  [1000, 'The machine closed the console. Connect the viewer again: the local port still listens.'],
])('asks to connect the viewer again after the close code %i, and serves it', async (code, sentence) => {
  using opened = await openPort(code)
  await connectViewer(opened.port)
  await connectViewer(opened.port)
  expect(opened.said).toEqual([sentence, sentence])
})

it('asks to run the command again once the port is about to close', async () => {
  using opened = await openPort(1006)
  await opened.port.idle()
  await connectViewer(opened.port)
  expect(opened.said).toEqual(['The connection to the console broke. Run the command again.'])
})
