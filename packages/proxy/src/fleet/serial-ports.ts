/**
 * The serial ports that each worker has open, which the primary knows. A port serves one connection, and its viewers may be in
 * different workers: one of them holds the port, and the others read along through it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Logger, Secret } from '@oriel/runtime'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import { Refused } from '../refused.ts'
import { joinAtPeer } from '../serial/peer-leg.ts'
import { type PeerAddress, PeerServer } from '../serial/peer-server.ts'
import type { JoinForPeer, SerialPeers } from '../serial/peers.ts'
import type { OpenedPort, OpenUpstream } from '../serial/upstream.ts'
import type { Calls } from './calls.ts'
import type { PortAddress, PrimaryAnswers } from './contract.ts'

type FromWorker = Pick<PrimaryAnswers, 'portFolder' | 'holdPort' | 'releasePort'>

const addressCheck = Compile(Type.Object({ path: Type.String(), key: Type.String() }))
/** How often a worker asks again who holds a port, while the last holder is closing it or has exited. */
const ATTEMPTS = 20
const RETRY_MS = 25

/** The ports of a worker. */
export class RemotePorts implements SerialPeers {
  readonly #calls: () => Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>
  readonly #log: Logger
  readonly #held = new Set<string>()
  #server: Promise<PeerServer | undefined> | undefined
  #join: JoinForPeer = () => undefined

  /** @param calls the channel to the primary; it must be open when the first port opens */
  constructor(calls: () => Pick<Calls<PrimaryAnswers>, 'ask' | 'askFor'>, log: Logger) {
    this.#calls = calls
    this.#log = log
  }

  serve(joinPort: JoinForPeer): void {
    // A port that this worker only reads along would make a chain.
    this.#join = (portId, ...rest) => (this.#held.has(portId) ? joinPort(portId, ...rest) : undefined)
  }

  async open(portId: string, dial: OpenUpstream, signal: AbortSignal, since?: 'opening'): Promise<OpenedPort> {
    this.#server ??= this.#start()
    const server = await this.#server
    if (!server) return dial(signal)
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const holder = await this.#hold(portId, server.address)
      if (!holder) return this.#dial(portId, dial, signal)
      const opened = await joinAtPeer(holder, portId, signal, since)
      if (opened) return opened
      await delay(RETRY_MS, undefined, { signal })
    }
    throw new Refused('console_unreachable', 'the process of the proxy that has the port open does not answer')
  }

  release(portId: string): void {
    if (!this.#held.delete(portId)) return
    this.#notifyReleased(portId)
  }

  #dial(portId: string, dial: OpenUpstream, signal: AbortSignal): Promise<OpenedPort> {
    this.#held.add(portId)
    if (signal.aborted) this.release(portId)
    signal.throwIfAborted()
    return dial(signal)
  }

  /** Returns the address of the worker that holds the port, or `undefined` if this worker holds it from now on. */
  async #hold(portId: string, mine: PeerAddress): Promise<PeerAddress | undefined> {
    const late = (holder: unknown) => {
      if (holder === null) this.#notifyReleased(portId)
    }
    const holder: unknown = await this.#calls().askFor(late, 'holdPort', portId, {
      path: mine.path,
      key: mine.key.reveal(),
    })
    if (holder === null) return undefined
    if (!addressCheck.Check(holder)) throw new Error('the primary returned a malformed reply to holdPort')
    return { path: holder.path, key: new Secret(holder.key) }
  }

  #notifyReleased(portId: string): void {
    this.#calls()
      .ask('releasePort', portId)
      .catch(() => {})
  }

  async #start(): Promise<PeerServer | undefined> {
    try {
      const folder: unknown = await this.#calls().ask('portFolder')
      if (typeof folder !== 'string') throw new Error('the primary returned a malformed reply to portFolder')
      return await PeerServer.start((...joining) => this.#join(...joining), folder)
    } catch (err) {
      this.#log.warn({ err }, 'serial ports are not shared with other workers: the temporary folder cannot be written')
      return undefined
    }
  }
}

/** The folder of the workers' sockets, which is created when the first one needs it. */
export class PortFolder implements AsyncDisposable {
  #path: Promise<string> | undefined

  /** @throws the error of the file system */
  path(): Promise<string> {
    this.#path ??= mkdtemp(join(tmpdir(), 'oriel-serial-'))
    return this.#path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const path = await this.#path?.catch(() => undefined)
    if (path !== undefined) await rm(path, { recursive: true, force: true })
  }
}

/** The ports that workers hold, by id. */
export type HeldPorts = Map<string, { readonly worker: PortsOfWorker; readonly address: PortAddress }>

/** The primary's answers to one worker. Disposal releases the worker's ports. */
export class PortsOfWorker implements Disposable {
  readonly answers: FromWorker
  readonly #ports: HeldPorts

  /** @param ports those of all workers @param folder for their sockets */
  constructor(ports: HeldPorts, folder: PortFolder) {
    this.#ports = ports
    this.answers = {
      portFolder: () => folder.path(),
      holdPort: (portId, address) => this.#hold(portId, address),
      releasePort: (portId) => this.#release(portId),
    }
  }

  #hold(portId: string, address: PortAddress): PortAddress | null {
    if (typeof portId !== 'string' || !addressCheck.Check(address)) throw new Error('the port is malformed')
    const holder = this.#ports.get(portId)
    if (holder && holder.worker !== this) return holder.address
    this.#ports.set(portId, { worker: this, address })
    return null
  }

  #release(portId: string): void {
    if (this.#ports.get(portId)?.worker === this) this.#ports.delete(portId)
  }

  [Symbol.dispose](): void {
    for (const [portId, { worker }] of this.#ports) if (worker === this) this.#ports.delete(portId)
  }
}
