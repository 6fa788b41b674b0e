/** Keeps a console with `sessions.share = "exclusive"` to one controlling session among those of all proxies. */
import { consoleTypes } from '@oriel/contract'
import type { ConsoleClaim } from '../authority/authority.ts'
import type { WebSocketConsoleType } from '../consoles/kinds.ts'
import type { Connecting } from './context.ts'

type Claim = ConsoleClaim & { readonly type: WebSocketConsoleType }

/**
 * Holds the right to control the console, until disposal. `undefined` if nothing has to be held: for watchers, in front of
 * Nova, and for a type whose port one proxy holds anyway, or whose channels come one by one.
 */
export function holdExclusively(
  { context, signal }: Connecting,
  { type, admission }: Claim,
  takeOver: boolean,
): Promise<Disposable> | undefined {
  const { authority, consoles, sharing } = context
  const { record, role = 'control' } = admission
  if (sharing.share !== 'exclusive' || role !== 'control' || !record) return undefined
  // A console whose sessions share one leg, such as a serial port, is held with its port: decision 0023.
  if (consoles[type].share || consoleTypes[type].channelsShareToken) return undefined
  const takesOver = takeOver || sharing.inUse === 'take_over'
  return authority.holdPort?.({ sessionId: record.id, takeOver: takesOver, exclusive: true }, signal)
}
