/** The methods of a client at one microversion, as types: all of them follow from the contract's routes. */
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
  /** Ends the call early; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Query parameters; `undefined` ones are left out. */
export type QueryParameters = Readonly<Record<string, string | number | boolean | undefined>>

/** The input of any operation, as the untyped middle of the client sees it. */
export interface AnyInput {
  readonly body?: unknown
  readonly query?: QueryParameters
  readonly [parameter: string]: unknown
}

/**
 * The operations of microversion `V`: exactly the routes that live there, each with the bodies and answers that it has
 * there. A union of versions gives a union of clients, which narrows on `microversion` and by `'…' in client`.
 */
export type ClientAt<V extends Microversion> = Clients[V]
// A table, since TypeScript would try to work backwards through a conditional type to find `V`.
type Clients = { readonly [V in Microversion]: { readonly microversion: V } & OperationsAt<EraOf<V>> }

/** The operations alone, by the microversion that last changed the contract. */
export type OperationsAt<V> = {
  readonly [Name in keyof Routes as Name extends RouteNameAt<V> ? Name : never]: Operation<Name, V>
}

/** One operation. Its input may be left out where no member of it is needed. */
export type Operation<Name extends keyof Routes, V> = (
  ...parameters: object extends Input<Name, V>
    ? [input?: Input<Name, V>, options?: CallOptions]
    : [input: Input<Name, V>, options?: CallOptions]
) => Promise<ResponseAt<Name, V>>

/** What an operation takes: path parameters by name, the body where there is one, the query where it is open. */
export type Input<Name extends keyof Routes, V> = {
  readonly [K in PathParameter<Routes[Name]['path']>]: string
} & (Routes[Name] extends { body: unknown } ? { readonly body: BodyAt<Name, V> } : unknown) &
  (Routes[Name] extends { method: 'POST' } | { query: unknown } ? unknown : { readonly query?: QueryParameters })

/**
 * The microversion of `history` in force at `V`. Types are made for these few and shared by all that follow, which keeps
 * a union of a hundred clients cheap and its methods callable.
 */
export type EraOf<V> = Last<ErasUntil<V>>
type Era = keyof typeof history
type ErasUntil<V> = { [E in Era]: Alive<{ 'x-openstack': { 'min-ver': E } }, V> extends true ? E : never }[Era]
type Last<E extends Era> = { [C in E]: [Exclude<E, ErasUntil<C>>] extends [never] ? C : never }[E]
