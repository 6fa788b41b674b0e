/** Oriel's extension of the API: sessions, for proxies that open them and people who list and end them. */
import {
  EXTENSION_PATH,
  type ExtensionBody,
  type ExtensionQuery,
  type ExtensionResponse,
  type ExtensionRoute,
  type ExtensionRouteName,
  type ExtensionRoutes,
  extensionRoutes,
  type PathParameter,
} from '@oriel/contract'
import { versionRoot } from './address.ts'
import type { AnyInput, CallOptions } from './client-at.ts'

/** The operations of the extension, by the names of the contract's routes. Any other API than Oriel's responds 404. */
export type OrielOperations = { readonly [Name in ExtensionRouteName]: OrielOperation<Name> }

/** One operation. Its input is optional if it has no required member. Resolves with a `Blob` where the response is not JSON. */
export type OrielOperation<Name extends ExtensionRouteName> = (
  ...parameters: object extends OrielInput<Name>
    ? [input?: OrielInput<Name>, options?: CallOptions]
    : [input: OrielInput<Name>, options?: CallOptions]
) => Promise<ExtensionRoutes[Name] extends { readonly media: unknown } ? Blob : ExtensionResponse<Name>>

/** The input of an operation: path parameters by name, and the body and the query of routes that have them. */
export type OrielInput<Name extends ExtensionRouteName> = {
  readonly [K in PathParameter<ExtensionRoutes[Name]['path']>]: string
} & (ExtensionRoutes[Name] extends { body: unknown } ? { readonly body: ExtensionBody<Name> } : unknown) &
  (ExtensionRoutes[Name] extends { query: unknown } ? { readonly query?: ExtensionQuery<Name> } : unknown)

/** Creates the operations, each of which calls `call`. */
export function orielOperations(
  call: (name: ExtensionRouteName, route: ExtensionRoute, input: AnyInput, options: CallOptions) => Promise<unknown>,
): OrielOperations {
  const operations = Object.entries<ExtensionRoute>(extensionRoutes).map(([name, route]) => [
    name,
    (input = {}, options = {}) => call(name as ExtensionRouteName, route, input, options),
  ])
  return Object.fromEntries(operations)
}

/** Returns the base URL of the extension, which is next to the compute API with this endpoint. */
export const extensionUrl = (endpoint: string): string => versionRoot(endpoint, false) + EXTENSION_PATH
