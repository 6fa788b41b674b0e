/** Asks a Node program through its inspector (Chrome DevTools Protocol, domains HeapProfiler and Runtime). */
import { once } from 'node:events'
import type { CandidateName } from './candidates.ts'
import type { Entrant } from './lab.ts'
import { type Scale, settlingMs } from './measurement.ts'
import { memoryBytes } from './process-tree.ts'
import { settled } from './settled.ts'

const RUNS_ON_NODE: readonly CandidateName[] = ['oriel', 'baseline', 'bare']

export const runsOnNode = ({ name }: Entrant): boolean => RUNS_ON_NODE.includes(name)

/** Returns the memory of a candidate in bytes, after a collection if it runs on Node. It must have been started `inspected`. */
export async function collectedMemory(entrant: Entrant, scale: Scale): Promise<number> {
  if (runsOnNode(entrant)) await collectGarbage(entrant.inspectorPort)
  return settled(() => memoryBytes(entrant.pid), settlingMs[scale])
}

/**
 * Resolves after two collections: the second one returns the pages that the first one has emptied to the system.
 * @throws if no inspector answers at that port
 */
export async function collectGarbage(inspectorPort: number): Promise<void> {
  await using inspector = await connectInspector(inspectorPort)
  for (let i = 0; i < 2; i += 1) await inspector.ask('HeapProfiler.collectGarbage')
}

/** How long the delay of an event loop is watched. */
const WATCHED_MS = { full: 10_000, quick: 100 } as const satisfies Record<Scale, number>
const RESOLUTION_MS = 1

/** Returns by how many milliseconds 99 of 100 turns of the event loop were late at most. @throws as `collectGarbage` does */
export async function eventLoopDelayMs(inspectorPort: number, scale: Scale): Promise<number> {
  await using inspector = await connectInspector(inspectorPort)
  const params = { expression: watching(WATCHED_MS[scale]), awaitPromise: true, returnByValue: true }
  const { result } = (await inspector.ask('Runtime.evaluate', params)) as { result: { value: number } }
  return result.value - RESOLUTION_MS
}

/** The histogram has the intervals of a timer of that resolution. */
const watching = (ms: number) => `(async () => {
  const histogram = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} })
  histogram.enable()
  await new Promise((resolve) => setTimeout(resolve, ${ms}))
  return histogram.percentile(99) / 1e6
})()`

async function connectInspector(port: number) {
  const answer = await fetch(`http://127.0.0.1:${port}/json/list`)
  const [page] = (await answer.json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(page!.webSocketDebuggerUrl)
  await once(socket, 'open')
  let id = 0
  return {
    async ask(method: string, params: object = {}): Promise<unknown> {
      const answered = once(socket, 'message')
      socket.send(JSON.stringify({ id: ++id, method, params }))
      const [{ data }] = (await answered) as [{ data: string }]
      return (JSON.parse(data) as { result: unknown }).result
    },
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close')
      socket.close()
      await closed
    },
  }
}
