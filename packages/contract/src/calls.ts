/** The input and output types of each route, for the SDK's methods and the API's handlers. */
import type * as Type from 'typebox'
import type { LATEST, Microversion, RouteName, Routes } from './microversions.ts'
import type { Alive, StaticAt } from './versioned.ts'

type Narrow<R, Part extends 'body' | 'response'> = R extends { types: { [K in Part]: infer S extends Type.TSchema } }
  ? S
  : R extends { [K in Part]: infer S extends Type.TSchema }
    ? S
    : never

/** The names in braces of a path, such as `server_id`. */
export type PathParameter<P> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | PathParameter<Rest> : never
/** The request body of `Name` at microversion `V`, narrowed to the pairs of protocol and type that exist. */
export type BodyAt<Name extends RouteName, V> = StaticAt<Narrow<Routes[Name], 'body'>, V>
/** The response body of `Name` at microversion `V`. */
export type ResponseAt<Name extends RouteName, V> = StaticAt<Narrow<Routes[Name], 'response'>, V>
/** The newest shapes, which handlers take and return. */
export type NewestBody<Name extends RouteName> = BodyAt<Name, typeof LATEST>
export type NewestResponse<Name extends RouteName> = ResponseAt<Name, typeof LATEST>
/** The names of the routes that exist at microversion `V`. */
export type RouteNameAt<V> = { [Name in RouteName]: Alive<Routes[Name], V> extends true ? Name : never }[RouteName]
/** A remote console that can be requested at `V`: a pair of protocol and type. */
export type RemoteConsoleAt<V extends Microversion> =
  BodyAt<'createRemoteConsole', V> extends { remote_console: infer Pair } ? Pair : never
/** The address of the console behind a console auth token, in the shape of the newest microversion. */
export type ConnectInfo = NewestResponse<'showConsoleAuthToken'>['console']
