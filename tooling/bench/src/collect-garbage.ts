/** Makes a Node program collect its garbage, through its inspector (Chrome DevTools Protocol, HeapProfiler). */
import { once } from 'node:events'
import type { CandidateName } from './candidates.ts'
import type { Entrant } from './lab.ts'
import { type Scale, settlingMs } from './measurement.ts'
import { memoryBytes } from './process-tree.ts'
import { settled } from './settled.ts'

const RUNS_ON_NODE: readonly CandidateName[] = ['oriel', 'baseline', 'bare']

/** Returns the memory of a candidate in bytes, after a collection if it runs on Node. It must have been started `inspected`. */
export async function collectedMemory({ name, pid, inspectorPort }: Entrant, scale: Scale): Promise<number> {
  if (RUNS_ON_NODE.includes(name)) await collectGarbage(inspectorPort)
  return settled(() => memoryBytes(pid), settlingMs[scale])
}

/**
 * Resolves after two collections: the second one returns the pages that the first one has emptied to the system.
 * @throws if no inspector answers at that port
 */
export async function collectGarbage(inspectorPort: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`)
  const [page] = (await answer.json()) as { webSocketDebuggerUrl: string }[]
  const inspector = new WebSocket(page!.webSocketDebuggerUrl)
  await once(inspector, 'open')
  const closed = once(inspector, 'close')
  for (const id of [1, 2]) {
    const collected = once(inspector, 'message')
    inspector.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }))
    await collected
  }
  inspector.close()
  await closed
}
