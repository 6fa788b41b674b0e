/** Reads the cost of a process and all its descendants from /proc. Always measures the tree, because peers fork. */
import { readdirSync, readFileSync } from 'node:fs'

/** The unit of times in /proc: USER_HZ, which is 100 on every architecture that Node supports (proc(5)). */
const TICKS_PER_SECOND = 100

/**
 * Returns the CPU-seconds, user and system, of the tree of `pid`, in steps of a hundredth of a second. Ended children
 * count once their parent has waited for them.
 */
export function cpuSeconds(pid: number): number {
  const ticks = treeOf(pid).reduce((sum, process) => sum + process.ticks, 0)
  return ticks / TICKS_PER_SECOND
}

/**
 * Returns the memory of the tree in bytes, as proportional set size without files: pages that forks share are counted
 * once, and program text, which other processes may share, is not counted.
 */
export function memoryBytes(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + pssBytes(process.pid), 0)
}

/** Returns the number of open file descriptors of the tree. */
export function openHandles(pid: number): number {
  return treeOf(pid).reduce((sum, process) => sum + (listed(`/proc/${process.pid}/fd`)?.length ?? 0), 0)
}

/** Returns the number of processes in the tree. */
export const processCount = (pid: number): number => treeOf(pid).length

/** Returns the limit of open file descriptors, which child processes inherit. */
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

/** Returns `undefined` if the file is missing: a process may end while the tree is read. */
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
