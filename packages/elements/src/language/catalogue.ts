/** The messages of a language. */
import type { CloseReasonName, OpenableConsoleType, RefusalName } from '@oriel/contract'
import type { english } from './english.ts'
import type { Plural } from './translate.ts'

type English = typeof english

/** Nova's statuses of a server. Their English is made of the names. */
export const statuses = [
  ...(['ACTIVE', 'BUILD', 'DELETED', 'ERROR', 'HARD_REBOOT', 'MIGRATING', 'PASSWORD', 'PAUSED', 'REBOOT'] as const),
  ...(['REBUILD', 'RESCUE', 'RESIZE', 'REVERT_RESIZE', 'SHELVED', 'SHELVED_OFFLOADED', 'SHUTOFF'] as const),
  ...(['SOFT_DELETED', 'SUSPENDED', 'UNKNOWN', 'VERIFY_RESIZE'] as const),
] as const

/** The messages whose English is elsewhere: in the catalogues of the contract, or made of Nova's names. */
export type NamedMessage =
  | `end.${CloseReasonName}`
  | `refusal.${RefusalName | 'in_use_watching'}`
  | `status.${(typeof statuses)[number]}`

/**
 * All messages of a language. Names of consoles, `console.…`, are optional: without one the contract's label is shown, so that a new
 * type of console needs no translation.
 */
export type Catalogue = {
  readonly [K in keyof English]: English[K] extends string ? string : Plural
} & { readonly [K in NamedMessage]: string } & { readonly [K in `console.${OpenableConsoleType}`]?: string }
