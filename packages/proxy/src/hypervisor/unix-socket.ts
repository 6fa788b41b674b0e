/**
 * Unix sockets of this host as consoles. oriel-api names their paths, and a compromised one could name the socket of another
 * service, such as /run/docker.sock. So the proxy connects only to sockets that `hypervisor.unix_sockets` lists.
 */
import { open, readlink } from 'node:fs/promises'
import { pathPatterns } from '@oriel/runtime'
import { Refused } from '../refused.ts'

/** The socket of one console. Only an authority that may name paths creates one. */
export interface UnixSocket {
  /** Finds the socket. @throws Refused unless it is listed; the error of the file system */
  find(): Promise<FoundSocket>
}

/** Disposal releases the socket; an established connection stays. */
export interface FoundSocket extends AsyncDisposable {
  /** The path to connect to. */
  readonly path: string
}

/** Returns the socket at a path. */
export type UnixSockets = (path: string) => UnixSocket

/**
 * `O_PATH` of Linux, which Node does not export: a file that is found but not opened. The connection then leads to this very
 * file: a guest that has taken over its QEMU may own the folder, and swap the socket for a link after the check.
 */
const O_PATH = 0o10000000

/** @param patterns the paths of sockets that may be dialled, with all links resolved */
export function unixSockets(patterns: readonly string[]): UnixSockets {
  const isListed = pathPatterns(patterns)
  return (path) => ({
    find: async () => {
      await using opened = new AsyncDisposableStack()
      const { fd } = opened.use(await open(path, O_PATH))
      const handle = `/proc/self/fd/${fd}`
      const resolved = await readlink(handle)
      if (!isListed(resolved)) throw unlisted(path, resolved)
      const close = opened.move()
      return { path: handle, [Symbol.asyncDispose]: () => close.disposeAsync() }
    },
  })
}

function unlisted(path: string, resolved: string): Refused {
  const socket = path === resolved ? path : `${path}, which leads to ${resolved},`
  return new Refused('console_unreachable', `the Unix socket ${socket} is not listed in hypervisor.unix_sockets`)
}
