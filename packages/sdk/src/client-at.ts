/** The types of a client's methods at one microversion, derived from the contract's routes. */
import type {
  Alive,
  BodyAt,
  history,
  Microversion,
  PathParameter,
  ResponseAt,
  RouteNameAt,
  Routes,
} from '@oriel/contract'

/** Options of one call. */
export interface CallOptions {
  /** Aborts the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Query parameters; `undefined` ones are left out. */
export type QueryParameters = Readonly<Record<string, string | number | boolean | undefined>>

/** The input of any operation, for the untyped part of the client. */
export interface AnyInput {
  readonly body?: unknown
  readonly query?: QueryParameters
  readonly [parameter: string]: unknown
}

/**
 * The operations of microversion `V`: the routes that exist there, with their bodies and responses at `V`. A union of versions
 * gives a union of clients, which narrows on `microversion` and by `'…' in client`.
 */
export type ClientAt<V extends Microversion> = Clients[V]
// A table, since TypeScript would try to infer `V` backwards through a conditional type.
type Clients = { readonly [V in Microversion]: { readonly microversion: V } & OperationsAt<EraOf<V>> }

/** The operations by the microversion that last changed the contract. */
export type OperationsAt<V> = {
  readonly [Name in keyof Routes as Name extends RouteNameAt<V> ? Name : never]: Operation<Name, V>
}

/** One operation. Its input is optional if it has no required member. */
export type Operation<Name extends keyof Routes, V> = (
  ...parameters: object extends Input<Name, V>
    ? [input?: Input<Name, V>, options?: CallOptions]
    : [input: Input<Name, V>, options?: CallOptions]
) => Promise<ResponseAt<Name, V>>

/** The input of an operation: path parameters by name, and the body and the query of routes that have them. */
export type Input<Name extends keyof Routes, V> = {
  readonly [K in PathParameter<Routes[Name]['path']>]: string
} & (Routes[Name] extends { body: unknown } ? { readonly body: BodyAt<Name, V> } : unknown) &
  (Routes[Name] extends { method: 'POST' } | { query: unknown } ? unknown : { readonly query?: QueryParameters })

/**
 * The newest microversion of `history` up to `V`. Types are created for these few and shared by the ones in between, which
 * keeps a union of a hundred clients cheap and its methods callable.
 */
export type EraOf<V> = Last<ErasUntil<V>>
type Era = keyof typeof history
type ErasUntil<V> = { [E in Era]: Alive<{ 'x-openstack': { 'min-ver': E } }, V> extends true ? E : never }[Era]
type Last<E extends Era> = { [C in E]: [Exclude<E, ErasUntil<C>>] extends [never] ? C : never }[E]
