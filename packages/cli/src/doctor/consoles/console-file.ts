/** Checks a console that a native viewer opens: its `.vv` file, and the SPICE port that the file names. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { rootCertificates } from 'node:tls'
import { type RefusalName, refusals } from '@oriel/contract'
import type { Cloud } from '../../cloud/sign-in.ts'
import { type Destination, isLoopback } from '../destination.ts'
import type { Examination, Outcome, Passed } from '../examination.ts'
import { connected, connectedOverTls, type Patience } from '../network.ts'
import { networkProblem } from '../network-problem.ts'
import { Problem } from '../problem.ts'
import { get, type Reply } from '../request.ts'
import { elapsed } from './attempt.ts'
import type { ConsoleSubject } from './browser-console.ts'
import { refusalRemedy } from './refusal-remedies.ts'
import { linkError, linkMessage, REPLY_BYTES } from './spice-link.ts'

/** The parts of a `.vv` file that lead a viewer to its server. */
interface ViewerTarget {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  readonly ca: string | undefined
  /** Whether the file names the certificate's subject, so that its host name does not count. */
  readonly hasSubject: boolean
}

/** Performs the checks of a type without a page. */
export async function checkConsoleFile(
  exam: Examination,
  subject: ConsoleSubject,
  created: Outcome<{ readonly url: string }>,
  reached: Outcome<Destination>,
): Promise<void> {
  const { type, cloud, facts } = subject
  const file = await exam.check(`${type} file`, [created, reached], async ({ url }, to) => {
    const reply = await fetched(url, to, cloud, exam.signal)
    const target = targetOf(reply)
    if (target === undefined) throw fileProblem(reply, to, subject)
    if (isLoopback(target.host) && !facts.isLocal) {
      const remedy = 'Set spice.public_host of oriel-proxy to the name at which viewers reach it.'
      throw new Problem(`the file leads viewers to ${target.host}, their own machine`, { side: 'oriel-proxy', remedy })
    }
    return {
      value: target,
      detail: `remote-viewer connects to ${target.host}:${target.port}${target.isTls ? ' over TLS' : ''}`,
    }
  })
  await exam.check(`${type} viewer`, [file], (target) => link(target, cloud, exam.signal))
}

async function fetched(url: string, to: Destination, cloud: Cloud, signal: AbortSignal): Promise<Reply> {
  try {
    return await get(url, cloud, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw networkProblem(error, to)
  }
}

function targetOf({ status, text }: Reply): ViewerTarget | undefined {
  if (status !== 200 || !text.startsWith('[virt-viewer]')) return undefined
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1]
  const [host, tls, plain] = [value('host'), value('tls-port'), value('port')]
  const port = Number(tls ?? plain)
  if (host === undefined || !(port > 0 && port < 65_536)) return undefined
  const ca = value('ca')?.replaceAll('\\n', '\n')
  return { host, port, isTls: tls !== undefined, ca, hasSubject: value('host-subject') !== undefined }
}

/** The error page of Oriel's proxy has the sentence of the refusal. */
function fileProblem({ status, text }: Reply, to: Destination, { facts }: ConsoleSubject): Problem {
  const sentence = /<p>([^<]*)<\/p>/.exec(text)?.[1] ?? 'no file for remote-viewer'
  const [refusal] = Object.entries(refusals).find(([, row]) => row.text === sentence) ?? []
  const said = `${to.url.host} answers ${status} in place of the file: ${sentence}`
  if (refusal !== undefined) {
    const reason = { code: 4000 + status, text: sentence, remedy: 'none', refusal: refusal as RefusalName } as const
    return new Problem(said, refusalRemedy(reason, to.setting, facts))
  }
  const remedy = `Lead ${to.setting} to a [[listen]] of oriel-proxy whose consoles have "spice-direct", at the path /nova.`
  return new Problem(said, { side: to.side, remedy })
}

/** Connects as a viewer does, and asks for a link without a ticket, so that the ticket stays unused. */
async function link(target: ViewerTarget, { timeoutMs }: Cloud, signal: AbortSignal): Promise<Passed<undefined>> {
  const to = destinationOf(target)
  const socket = await connectTo(target, to, { timeoutMs, signal })
  const ok = (detail: string) => ({ value: undefined, detail })
  try {
    if (target.isTls && target.hasSubject)
      return ok('the port is open; the viewer checks its certificate by its subject')
    socket.write(linkMessage())
    const reply = await Promise.race([readReply(socket), elapsed(timeoutMs, signal).then(() => Buffer.alloc(0))])
    if (linkError(reply) !== undefined) return ok(`the SPICE server at ${to.url.host} accepts viewers`)
  } finally {
    socket.destroy()
  }
  const remedy =
    'Lead spice.public_host and its ports to the SPICE port of oriel-proxy: another program answers there, or a load balancer without mode tcp.'
  throw new Problem(`${to.url.host} does not answer in SPICE`, { side: 'load balancer', remedy })
}

function destinationOf({ host, port, isTls }: ViewerTarget): Destination {
  const name = host.includes(':') ? `[${host}]` : host
  return {
    url: new URL(`${isTls ? 'https' : 'http'}://${name}:${port}`),
    side: 'oriel-proxy',
    setting: 'spice.public_host',
    listens: 'Set spice.listen or spice.tls_listen to an address that viewers reach',
  }
}

/** A certificate that the file names by its subject is for the viewer to verify. */
function connectTo({ host, port, isTls, ca, hasSubject }: ViewerTarget, to: Destination, patience: Patience) {
  if (!isTls || hasSubject) return connected(connect({ host, port }), 'connect', to, patience)
  return connectedOverTls(to, ca === undefined ? undefined : [...rootCertificates, ca], patience)
}

/** Returns fewer bytes if the connection ends. */
async function readReply(socket: Socket): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  while (bytes.length < REPLY_BYTES && !socket.destroyed) {
    const ended = once(socket, 'close').then(() => [])
    const [chunk] = (await Promise.race([once(socket, 'data'), ended]).catch(() => [])) as [Buffer?]
    if (chunk === undefined) break
    bytes = Buffer.concat([bytes, chunk])
  }
  return bytes
}
