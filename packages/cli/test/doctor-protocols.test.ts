/** `oriel doctor` and the protocols of consoles: serial, SPICE in a page, SPICE in a native viewer, and idle screens. */
import { createServer } from 'node:net'
import { freePort } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { cloudOf } from '../src/cloud/sign-in.ts'
import { Attempt } from '../src/doctor/consoles/attempt.ts'
import { linkMessage } from '../src/doctor/consoles/spice-link.ts'
import { diagnoseProxy, failureIn, pagesAre } from './parts/diagnose.ts'
import {
  CONSOLE_TOKEN,
  type FakeProxyOptions,
  fakeProxy,
  listen,
  type SpeakAs,
  send,
  speakRfb,
} from './parts/fake-cloud.ts'

it('reports output of a serial console, or that it is silent, and accepts nova-serialproxy, which has no page', async () => {
  const paths = { serial: `/?token=${CONSOLE_TOKEN}` }
  const talking = await diagnoseProxy(
    { speak: (socket) => socket.send(Buffer.from('login: ')) },
    { paths, type: 'serial' },
  )
  expect(talking.find(({ name }) => name === 'serial console')).toMatchObject({
    status: 'ok',
    detail: 'the first 7 bytes',
  })
  const silent = await diagnoseProxy({ speak: () => {}, ...pagesAre(405, 'no') }, { paths, type: 'serial' })
  const found = ['serial page', 'serial console'].map((name) => silent.find((result) => result.name === name)!)
  expect(found.map(({ status }) => status)).toEqual(['skipped', 'ok'])
  expect(found[1]!.detail).toContain('prints nothing now')
})

it('names an idle console that is cut, and passes one that stays open', async () => {
  const cut: SpeakAs = (socket, request) => {
    speakRfb(socket, request)
    // The first picture has been requested by then.
    socket.on('message', (data: Buffer) => data.at(-10) === 3 && setImmediate(() => socket.terminate()))
  }
  const found = failureIn(await diagnoseProxy({ speak: cut }, { type: 'novnc', idleMs: 60_000 }))
  expect(found).toMatchObject({
    name: 'novnc idle',
    side: 'load balancer',
    remedy: expect.stringMatching(/timeout tunnel.*ping_interval/),
  })
  const results = await diagnoseProxy({}, { type: 'novnc', idleMs: 20 })
  expect(results.find(({ name }) => name === 'novnc idle')).toMatchObject({ status: 'ok' })
})

it('sends nothing while a console is idle', async () => {
  const messages: string[] = []
  const speak: SpeakAs = (socket) => socket.on('message', (data) => messages.push(String(data)))
  await using proxy = await fakeProxy({ speak })
  const attempt = new Attempt(cloudOf({ endpoint: 'http://h' }, 5000, {}), undefined)
  const socket = attempt.dial(`ws://127.0.0.1:${proxy.port}/`)
  await attempt.answer
  socket.send('before')
  attempt.quiet()
  socket.send('after')
  await attempt.close()
  expect(messages).toEqual(['before'])
})

/** The beginning of a SPICE server's reply to a link message. */
const LINK_REPLY = Buffer.from(`REDQ${'\u0002\0\0\0'.repeat(2)}${'\xb2\0\0\0'}${'\0\0\0\0'}`, 'latin1')
const HTML5 = { 'spice-html5': `/spice_auto.html?token=${CONSOLE_TOKEN}` }

it('links with the SPICE server of a page, and names a server of another protocol', async () => {
  const linking: SpeakAs = (socket) =>
    socket.on('message', (data: Buffer) => data.equals(linkMessage()) && socket.send(LINK_REPLY))
  const results = await diagnoseProxy({ speak: linking }, { paths: HTML5, type: 'spice-html5' })
  expect(results.at(-2)).toMatchObject({
    name: 'spice-html5 console',
    status: 'ok',
    detail: 'the SPICE server accepts a link',
  })
  const other: SpeakAs = (socket) => socket.send(Buffer.from('SSH-2.0-OpenSSH_9.2 something else'))
  const found = failureIn(await diagnoseProxy({ speak: other }, { paths: HTML5, type: 'spice-html5' }))
  expect(found).toMatchObject({
    name: 'spice-html5 console',
    detail: expect.stringContaining('does not answer in SPICE'),
  })
})

const DIRECT = { 'spice-direct': `/nova?token=${CONSOLE_TOKEN}` }
const serving = (file: string): FakeProxyOptions => ({
  broken: (_, response) => send(response, 200, file),
})
const vv = (port: number) => `[virt-viewer]\ntype=spice\nhost=127.0.0.1\nport=${port}\npassword=secret\n`

it('checks the console file of a native viewer and the SPICE port in it', async () => {
  const spice = createServer((socket) => void socket.on('error', () => {}).once('data', () => socket.write(LINK_REPLY)))
  await using server = await listen(spice)
  const how = { paths: DIRECT, type: 'spice-direct' } as const
  const results = await diagnoseProxy(serving(vv(server.port)), how)
  expect(results.slice(-2)).toMatchObject([
    { name: 'spice-direct file', status: 'ok', detail: `remote-viewer connects to 127.0.0.1:${server.port}` },
    { name: 'spice-direct viewer', status: 'ok' },
  ])
  const closed = failureIn(await diagnoseProxy(serving(vv(await freePort())), how))
  expect(closed).toMatchObject({ name: 'spice-direct viewer', remedy: expect.stringContaining('spice.listen') })
  await using web = await listen(
    createServer((socket) => void socket.on('error', () => {}).end('HTTP/1.1 400 Bad\r\n\r\n')),
  )
  const other = failureIn(await diagnoseProxy(serving(vv(web.port)), how))
  expect(other).toMatchObject({ name: 'spice-direct viewer', remedy: expect.stringContaining('mode tcp') })
  const page = failureIn(await diagnoseProxy(pagesAre(404, '<title>Home</title>'), how))
  expect(page).toMatchObject({ name: 'spice-direct file', remedy: expect.stringContaining('at the path /nova') })
  expect(JSON.stringify(results)).not.toMatch(/secret/)
})

it('ends at once when it is interrupted, and leaves no console open', async () => {
  const controller = new AbortController()
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const speak: SpeakAs = (socket) => {
    socket.on('close', () => resolve())
    controller.abort(new Error('interrupted'))
  }
  await expect(diagnoseProxy({ speak }, { type: 'novnc', signal: controller.signal })).rejects.toThrow('interrupted')
  await closed
})
