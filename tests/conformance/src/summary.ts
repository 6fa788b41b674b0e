/** A run in figures. */
import { type Decision, decisions } from './decisions.ts'
import type { Outcome } from './replay.ts'

/** `N match, N differ by decision (D1: n, …), N fail`. A recording that several decisions concern counts for each. */
export function summary(outcomes: readonly Outcome[]): string {
  const count = (verdict: Outcome['verdict']) => outcomes.filter((outcome) => outcome.verdict === verdict).length
  const byId = idsInOrder().map((id) => [id, outcomes.filter(({ rows }) => rows.some((row) => row.id === id)).length])
  const used = byId.filter(([, uses]) => uses !== 0).map(([id, uses]) => `${id}: ${uses}`)
  return `${count('match')} match, ${count('differ')} differ by decision (${used.join(', ')}), ${count('fail')} fail`
}

/** The rows that no recording needed. */
export function unusedRows(outcomes: readonly Outcome[]): readonly Decision[] {
  const used = new Set(outcomes.flatMap(({ rows }) => rows))
  return decisions.filter((row) => !used.has(row))
}

function idsInOrder(): readonly string[] {
  const number = (id: string) => (id.startsWith('D') ? 0 : 1000) + Number(id.slice(1))
  return [...new Set(decisions.map(({ id }) => id))].sort((a, b) => number(a) - number(b))
}
