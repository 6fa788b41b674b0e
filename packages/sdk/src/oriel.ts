/** Oriel's own extension of the API: sessions, for proxies that open them and people who list and end them. */
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

/** The operations of the extension, by the names of the contract's routes. An API that is not Oriel answers 404. */
export type OrielOperations = { readonly [Name in ExtensionRouteName]: OrielOperation<Name> }

/** One operation. Its input may be left out where no member of it is needed. */
export type OrielOperation<Name extends ExtensionRouteName> = (
  ...parameters: object extends OrielInput<Name>
    ? [input?: OrielInput<Name>, options?: CallOptions]
    : [input: OrielInput<Name>, options?: CallOptions]
) => Promise<ExtensionResponse<Name>>

/** What an operation takes: path parameters by name, the body where there is one, the query where there is one. */
export type OrielInput<Name extends ExtensionRouteName> = {
  readonly [K in PathParameter<ExtensionRoutes[Name]['path']>]: string
} & (ExtensionRoutes[Name] extends { body: unknown } ? { readonly body: ExtensionBody<Name> } : unknown) &
  (ExtensionRoutes[Name] extends { query: unknown } ? { readonly query?: ExtensionQuery<Name> } : unknown)

/** The operations, each of which is a `call`. */
export function orielOperations(
  call: (name: ExtensionRouteName, route: ExtensionRoute, input: AnyInput, options: CallOptions) => Promise<unknown>,
): OrielOperations {
  const operations = Object.entries<ExtensionRoute>(extensionRoutes).map(([name, route]) => [
    name,
    (input = {}, options = {}) => call(name as ExtensionRouteName, route, input, options),
  ])
  return Object.fromEntries(operations)
}

/** Where the extension stands: beside the compute API, at whose endpoint the client was given. */
export const extensionUrl = (endpoint: string): string => versionRoot(endpoint, false) + EXTENSION_PATH
