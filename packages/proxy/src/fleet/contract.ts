/** What the primary and its workers ask each other. */
import { type RefusalName, refusals } from '@oriel/contract'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Protection } from '../admin/protection.ts'
import type { SessionRecord } from '../admin/sessions.ts'
import type { Entrant } from '../admit/limits.ts'

/** The figures of one process, as prom-client hands them over. */
export type Figures = readonly { readonly name: string; readonly type: unknown }[]

/** A worker answers these. */
export type WorkerAnswers = {
  readonly sessions: () => Promise<readonly SessionRecord[]>
  readonly end: (id: string) => Promise<boolean>
  readonly figures: () => Promise<Figures>
  /** Why it is not ready, or `null`. */
  readonly health: () => Promise<string | null>
  /** The protection in force for each console type. */
  readonly protection: () => Promise<Protection>
  /** Closes its sessions and ends. */
  readonly stop: () => void
  readonly reload: () => void
}

/** The number of a place that was taken, or why there is none. */
export type PlaceAnswer = { readonly place: number } | { readonly refusal: RefusalName; readonly detail: string }

const placeAnswer = Compile(
  Type.Union([
    Type.Object({ place: Type.Integer() }),
    Type.Object({ refusal: Type.Enum(Object.keys(refusals) as RefusalName[]), detail: Type.String() }),
  ]),
)

/** Whether the other process answered as {@link PlaceAnswer} promises. */
export const isPlaceAnswer = (value: unknown): value is PlaceAnswer => placeAnswer.Check(value)

/** The primary answers these. */
export type PrimaryAnswers = {
  /** The worker accepts connections. */
  readonly ready: () => void
  readonly enter: (entrant: Entrant) => PlaceAnswer
  readonly opened: (place: number) => void
  readonly leave: (place: number) => void
}
