/**
 * Records the streams in this folder from real servers: `node packages/proxy/test/rfb/streams/record.ts`. Needs the Debian
 * packages qemu-system-x86, tigervnc-standalone-server, x11vnc, xvfb, xdotool and imagemagick. Each stream is what the server
 * sent from ServerInit on, gzipped, while its screen changed.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

const pseudo = [-223, -224, -239, -258, -261, -308, -309, -307, 0xc0a1e5ce | 0, -316, 0x574d5664]
const X_CURSOR = -240
const [QUALITY_9, QUALITY_1] = [-23, -31]

/** 32 bits, a depth of 24, little endian, as noVNC has it. */
const pixelFormat = Buffer.from('00000000' + '20180001' + '00ff00ff00ff' + '000810' + '000000', 'hex')

function setEncodings(list: readonly number[]): Buffer {
  const message = Buffer.alloc(4 + 4 * list.length)
  message[0] = 2
  message.writeUInt16BE(list.length, 2)
  for (const [i, encoding] of list.entries()) message.writeInt32BE(encoding, 4 + 4 * i)
  return message
}

function request(incremental: number, width: number, height: number): Buffer {
  const message = Buffer.of(3, incremental, 0, 0, 0, 0, 0, 0, 0, 0)
  message.writeUInt16BE(width, 6)
  message.writeUInt16BE(height, 8)
  return message
}

async function record(name: string, port: number, encodings: readonly number[], act: () => void): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  let bytes = Buffer.alloc(0)
  socket.on('data', (piece) => {
    bytes = Buffer.concat([bytes, piece])
  })
  const read = async (count: number) => {
    while (bytes.length < count) await once(socket, 'data')
    const taken = bytes.subarray(0, count)
    bytes = bytes.subarray(count)
    return taken
  }
  await read(12)
  socket.write('RFB 003.008\n')
  await read((await read(1))[0]!)
  socket.write(Buffer.of(1))
  await read(4)
  socket.write(Buffer.of(1))
  while (bytes.length < 24) await once(socket, 'data')
  const [width, height] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)]
  socket.write(pixelFormat)
  socket.write(setEncodings(encodings))
  socket.write(request(0, width, height))
  for (let i = 0; i < 8; i += 1) {
    await delay(150)
    if (i % 2 === 0) act()
    socket.write(request(1, width, height))
  }
  await delay(1500)
  socket.destroy()
  const file = new URL(`${name}.rfb.gz`, import.meta.url)
  writeFileSync(file, gzipSync(bytes, { level: 9 }))
}

function start(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: 'ignore' })
  return { [Symbol.dispose]: () => void child.kill() }
}

const onDisplay = (display: string, program: string, args: readonly string[]) =>
  void execFileSync(program, args, { env: { ...process.env, DISPLAY: display } })

/** Draws another picture, of few colours or of many. */
const draw = (display: string, kind: string, seed: number) =>
  onDisplay(display, 'sh', [
    '-c',
    `convert -size 64x48 -seed ${seed} ${kind} PNG24:- | timeout 2 display -window root png:- || true`,
  ])

const pictures = ['plasma:fractal', 'xc:navy -fill gold -draw "rectangle 8,8 40,30"', 'gradient:red-blue']
function next(display: string): () => void {
  let turn = 0
  return () => {
    turn += 1
    draw(display, pictures[turn % pictures.length]!, turn)
  }
}

async function recordTigerVnc(): Promise<void> {
  using _server = start('Xtigervnc', [
    ':71',
    '-geometry',
    '64x48',
    '-depth',
    '24',
    '-SecurityTypes',
    'None',
    '-rfbport',
    '5971',
    '-localhost',
  ])
  await delay(1500)
  const act = next(':71')
  for (const [name, encodings] of Object.entries({
    raw: [0],
    rre: [2],
    hextile: [5],
    zrle: [16],
    tight: [7],
    'tight-jpeg': [7, QUALITY_1],
  })) {
    await record(`tigervnc-${name}`, 5971, [...encodings, 1, ...pseudo], act)
  }
}

async function recordX11vnc(): Promise<void> {
  using _x = start('Xvfb', [':72', '-screen', '0', '64x48x24'])
  await delay(1500)
  using _server = start('x11vnc', [
    '-display',
    ':72',
    '-rfbport',
    '5972',
    '-localhost',
    '-forever',
    '-shared',
    '-quiet',
    '-wait',
    '10',
    '-noxdamage',
  ])
  await delay(2500)
  const act = next(':72')
  for (const [name, encodings] of Object.entries({
    corre: [4],
    hextile: [5],
    zlib: [6],
    zrle: [16],
    tight: [7, QUALITY_9],
    'tight-png': [-260],
    'x-cursor': [2, X_CURSOR],
  })) {
    const pseudoEncodings = encodings.includes(X_CURSOR) ? [-224] : pseudo
    await record(`x11vnc-${name}`, 5972, [...encodings, 1, ...pseudoEncodings], act)
  }
}

async function recordQemu(): Promise<void> {
  const qmp = join(mkdtempSync(join(tmpdir(), 'record-')), 'qmp')
  const menu =
    '-nodefaults -no-user-config -machine pc,accel=tcg -m 32 -display none -vga std -boot menu=on,splash-time=60000'
  using _server = start('qemu-system-x86_64', [
    ...menu.split(' '),
    '-name',
    'web-1',
    '-vnc',
    '127.0.0.1:73,lossy=on',
    '-qmp',
    `unix:${qmp},server=on,wait=off`,
  ])
  await delay(4000)
  const restart = () => resetMachine(qmp)
  for (const [name, encodings] of Object.entries({
    hextile: [5],
    zlib: [6],
    tight: [7],
    'tight-jpeg': [7, QUALITY_1],
    'tight-png': [-260],
    zrle: [16],
  })) {
    await record(`qemu-${name}`, 5973, [...encodings, ...pseudo], restart)
  }
}

/** Its screen changes. */
function resetMachine(path: string): void {
  const socket = connect(path)
  socket.write('{"execute":"qmp_capabilities"}{"execute":"system_reset"}\n')
  setTimeout(() => socket.destroy(), 300)
}

await recordTigerVnc()
await recordX11vnc()
await recordQemu()
