/** The port to other processes of the same proxy: a serial port is opened by one of them, and the others read along. */
import type { Reader } from './reader.ts'
import type { OpenedPort, OpenUpstream } from './upstream.ts'

/**
 * Joins a port that this process has open, for another process. Returns `undefined` if it is not open.
 * @param since `opening`: for sessions that already have the output from before the port was dialled, at another host
 */
export type JoinForPeer = (portId: string, signal: AbortSignal, since?: 'opening') => Promise<Reader> | undefined

export interface SerialPeers {
  /** Called once, before any other method. */
  serve(join: JoinForPeer): void
  /**
   * Opens a port through the process that has it open, or by `dial` if no process has.
   * @param since `opening`: the earlier output begins where the other process has dialled the port
   * @throws the error of `dial`, here or there; the signal's reason once it aborts
   */
  open(portId: string, dial: OpenUpstream, signal: AbortSignal, since?: 'opening'): Promise<OpenedPort>
  /** Reports that this process no longer has the port open. Does nothing if another one has. */
  release(portId: string): void
}

/** For a single process. */
export const noPeers: SerialPeers = {
  serve: () => {},
  open: (_, dial, signal) => dial(signal),
  release: () => {},
}
