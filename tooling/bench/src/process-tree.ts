/** What a process and all its descendants cost, as Linux counts it. Peers fork; so a tree is measured, never one process. */
import { readdirSync, readFileSync } from 'node:fs'

/** Of the kernel's clock ticks in /proc: USER_HZ, 100 on every architecture that Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100

/**
 * CPU-seconds, user and system, of the tree under `pid` so far. Children that ended count once their parent has waited
 * for them. In steps of a hundredth of a second.
 */
export function cpuSeconds(pid: number): number {
  const ticks = treeOf(pid).reduce((sum, process) => sum + process.ticks, 0)
  return ticks / TICKS_PER_SECOND
}

/**
 * Memory of the tree in bytes, as proportional set size without files: what forks still share is counted once, and the
 * program text, which they share with other processes, is not counted.
 */
export function memoryBytes(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + pssBytes(process.pid), 0)
}

/** Descriptors that the tree holds open. */
export function openHandles(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + (listed(`/proc/${process.pid}/fd`)?.length ?? 0), 0)
}

/** How many processes the tree has. */
export const processCount = (pid: number): number => treeOf(pid).length

/** How many descriptors a process started from here may open. */
export function handleLimit(): number {
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

function treeOf(root: number): Process[] {
  const all = (listed('/proc') ?? []).flatMap((name) => (/^\d+$/.test(name) ? stat(Number(name)) : []))
  const tree = all.filter(({ pid }) => pid === root)
  for (const parent of tree) tree.push(...all.filter((process) => process.parent === parent.pid))
  return tree
}

/** Fields of proc_pid_stat(5) after the name: state, ppid, …, utime (14), stime (15), cutime (16), cstime (17). */
function stat(pid: number): Process[] {
  const text = read(`/proc/${pid}/stat`)
  if (text === undefined) return []
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return [{ pid, parent: Number(fields[1]), ticks }]
}

function pssBytes(pid: number): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`) ?? ''
  const kib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0)
  return (kib('Pss_Anon') + kib('Pss_Shmem')) * 1024
}

/** Processes come and go while they are read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function listed(path: string): string[] | undefined {
  try {
    return readdirSync(path)
  } catch {
    return undefined
  }
}
