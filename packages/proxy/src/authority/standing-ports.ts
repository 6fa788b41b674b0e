/** The serial ports that this proxy must hold, from Oriel's API. */
import type { SerialPort } from '@oriel/contract'
import { type Auth, createClient, type Fetch } from '@oriel/sdk'
import type { Admission, StandingPort, StandingPortDirectory } from './authority.ts'

/** How long the API waits for a change. Its maximum. */
const WAIT_SECONDS = 25

export interface DirectoryOptions {
  readonly endpoint?: string | undefined
  readonly auth: Auth
  /** Deadline of one request, besides the time that the API waits. */
  readonly timeoutMs: number
  readonly proxyId: string
  /** Equal for the processes of one proxy, which share their serial ports. Default: there is one. */
  readonly processGroup?: string | undefined
  readonly fetch?: Fetch
  /** @throws UnusableConnectInfo */
  readonly addressOf: (port: SerialPort) => Admission
}

export function standingPortDirectory(options: DirectoryOptions): StandingPortDirectory {
  const { proxyId: proxy_id, timeoutMs, processGroup: group, addressOf } = options
  const { oriel } = createClient(options)
  const patient = createClient({ ...options, timeoutMs: timeoutMs + WAIT_SECONDS * 1000 })
  const toPort = (port: SerialPort): StandingPort => ({ admission: addressOf(port), projectId: port.project_id })
  return {
    async awaitPorts(version, signal) {
      const known = version === undefined ? {} : { version, wait_seconds: WAIT_SECONDS }
      const body = { ...known, ...(group === undefined ? {} : { group }) }
      const answer = await patient.oriel.awaitSerialPorts({ proxy_id, body }, { signal })
      // One malformed address must not affect the others.
      const wantedLogs = (answer.wanted_logs ?? []).map(({ server_id, ask_id }) => ({
        instance: server_id,
        askId: ask_id,
      }))
      return {
        version: answer.version,
        wantedLogs,
        ports: answer.serial_ports.flatMap((port) => valid(() => toPort(port))),
      }
    },
    confirm: async (server_id, signal) =>
      toPort((await oriel.confirmSerialPort({ proxy_id, server_id }, { signal })).serial_port),
    report: async ({ instance: server_id, askId: ask_id }, output, signal) => {
      const body = { ask_id, log: output.toString('base64') }
      await oriel.reportSerialLog({ proxy_id, server_id, body }, { signal })
    },
    release: async (signal) => void (await oriel.releaseSerialPorts({ proxy_id }, { signal })),
  }
}

function valid<T>(build: () => T): T[] {
  try {
    return [build()]
  } catch {
    return []
  }
}
