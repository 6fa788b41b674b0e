/** Watches one server for changes during another operation. */
import type { Source } from './source.ts'

export interface ServerWatch extends Disposable {
  /** Whether the source has reported a change since the watch began. */
  readonly changed: boolean
}

export function watchServer(source: Source, id: string): ServerWatch {
  let changed = false
  const subscription = source.subscribe?.(({ serverId }) => {
    changed ||= serverId === id
  })
  return {
    get changed() {
      return changed
    },
    [Symbol.dispose]: () => subscription?.[Symbol.dispose](),
  }
}
