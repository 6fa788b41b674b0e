/** Reports the program's state to systemd, for units with `Type=notify`. */
import { execFile } from 'node:child_process'
import type { Logger } from './log.ts'

/** Messages of systemd's protocol: the program accepts work, or has begun to stop. */
export type ServiceState = 'READY=1' | 'STOPPING=1'

export interface ServiceManager {
  /** Sends a message without waiting for it. A failure is logged. Does nothing unless systemd started the program. */
  notify(state: ServiceState): void
}

const TOOL = 'systemd-notify'
/** The tool waits until systemd has read the message, because systemd finds the sender's unit by its process. */
const TIMEOUT_MS = 10_000

/**
 * Takes `NOTIFY_SOCKET` from `env`, and removes it from the environment that child processes inherit: a worker would report
 * itself as the program. Node cannot send Unix datagrams, so the messages are sent by `systemd-notify`.
 * @see https://www.freedesktop.org/software/systemd/man/252/sd_notify.html
 */
export function serviceManager(env: Readonly<Record<string, string | undefined>>, log: Logger): ServiceManager {
  const { NOTIFY_SOCKET, PATH } = env
  delete process.env.NOTIFY_SOCKET
  if (!NOTIFY_SOCKET) return { notify: () => {} }
  const options = { env: { NOTIFY_SOCKET, PATH }, timeout: TIMEOUT_MS }
  return {
    notify: (state) => {
      execFile(TOOL, [state], options, (err) => {
        if (err)
          log.warn({ err, state }, `systemd was not notified, because ${TOOL} failed: install it, or use Type=exec`)
        else log.debug({ state }, 'systemd was notified')
      })
    },
  }
}
