import { connectPeer, type Peer } from '@oriel/testkit'
import { expect, test } from 'vitest'
import { startDemoSerial } from '../src/index.ts'

const noon = () => new Date(2026, 0, 1, 12, 0, 30)
const start = () => startDemoSerial({ name: 'web-1', now: noon })
const prompt = '\x1b[32mweb-1$\x1b[0m '
const greeting = `\r\nOriel demo guest web-1, on its serial port.\r\nSay "help" to hear what I can do.\r\n\r\n${prompt}`

test.each([
  ['whole', (peer: Peer, bytes: Buffer) => peer.send(bytes)],
  ['in single bytes', (peer: Peer, bytes: Buffer) => peer.sendSlowly(bytes)],
])('greets, echoes what is typed and answers, %s', async (_, send) => {
  await using serial = await start()
  using peer = await connectPeer(serial)
  await peer.expect(Buffer.from(greeting))
  await send(peer, Buffer.from('echo Grüße\r'))
  await peer.expect(Buffer.from(`echo Grüße\r\nGrüße\r\n${prompt}`))
})

test.each([
  ['help', 'help\r', 'help\r\nhelp date uptime hostname echo clear\r\n'],
  ['date', 'date\r', `date\r\n${noon().toString().slice(0, 33)}\r\n`],
  ['clear', 'clear\r', 'clear\r\n\x1b[2J\x1b[H'],
  ['a word that it does not know', 'ls -l\r', 'ls -l\r\nls: not known here, say help\r\n'],
  ['a word that every object knows', 'toString\r', 'toString\r\ntoString: not known here, say help\r\n'],
  ['nothing', '\r', '\r\n'],
  ['line feed', 'echo a\n', 'echo a\r\na\r\n'],
  ['backspace and delete, not beyond the prompt', '\bxy\x7f\b\x7fhostname\r', 'xy\b \b\b \bhostname\r\nweb-1\r\n'],
  ['arrows and function keys', 'ec\x1b[A\x1bOP\x1b[15~ho a\r', 'echo a\r\na\r\n'],
  ['other control characters', '\x01\techo\x00 a\r', 'echo a\r\na\r\n'],
  ['Ctrl-U', 'ab\x15echo a\r', 'ab\b \b\b \becho a\r\na\r\n'],
  ['Ctrl-C', 'ab\x03', 'ab^C\r\n'],
])('takes %s', async (_, keys, shown) => {
  await using serial = await start()
  using peer = await connectPeer(serial)
  await peer.expect(Buffer.from(greeting))
  await peer.send(Buffer.from(keys))
  await peer.expect(Buffer.from(shown + prompt))
})

test('the shell takes CR LF as one line end, and keeps the line at Ctrl-L', async () => {
  await using serial = await start()
  using peer = await connectPeer(serial)
  await peer.expect(Buffer.from(greeting))
  await peer.send(Buffer.from('\r\nab\x0c'))
  await peer.expect(Buffer.from(`\r\n${prompt}ab\x1b[2J\x1b[H${prompt}ab`))
})

test('the shell cuts an endless line, and each connection has a separate one', async () => {
  await using serial = await start()
  using long = await connectPeer(serial)
  using other = await connectPeer(serial)
  await long.expect(Buffer.from(greeting))
  await other.expect(Buffer.from(greeting))
  await long.send(Buffer.from(`${'x'.repeat(300)}\r`))
  const line = 'x'.repeat(256)
  await long.expect(Buffer.from(`${line}\r\n${line}: not known here, say help\r\n${prompt}`))
  await other.send(Buffer.from('hostname\r'))
  await other.expect(Buffer.from(`hostname\r\nweb-1\r\n${prompt}`))
})

test('a terminal that reads nothing blocks only itself, and the port is free after disposal', async () => {
  const serial = await start()
  using deaf = await connectPeer(serial)
  await deaf.send(Buffer.from('help\r'.repeat(50_000)))
  using other = await connectPeer(serial)
  await other.expect(Buffer.from(greeting))
  await serial[Symbol.asyncDispose]()
  expect(await other.readToEnd()).toHaveLength(0)
  await expect(connectPeer(serial)).rejects.toThrow('ECONNREFUSED')
})
