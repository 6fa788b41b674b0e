/** A client of Nova's Server Consoles API, with types by microversion. Needs only `fetch`. */
export type {
  AdmittedConsole,
  ConnectInfo,
  ConsoleType,
  Microversion,
  OpenableConsoleType,
  Protocol,
  Session,
} from '@oriel/contract'
export { type Auth, noAuth, staticToken } from './auth.ts'
export { type Client, type ClientOptions, createClient, type NegotiateOptions } from './client.ts'
export type { CallOptions, ClientAt, Input, Operation, OperationsAt, QueryParameters } from './client-at.ts'
export type { Console } from './console.ts'
export { type ConsolePageOptions, consolePage } from './console-page.ts'
export {
  AnswerError,
  BadRequest,
  Conflict,
  ConnectionError,
  FaultError,
  Forbidden,
  MethodNotAllowed,
  NotAcceptable,
  NotFound,
  NotImplemented,
  OrielError,
  ServerFault,
  ServiceUnavailable,
  SettingsError,
  TooLarge,
  TooManyRequests,
  Unauthorized,
  UnsupportedMediaType,
  VersionError,
} from './errors.ts'
export type { Fetch, TransportOptions } from './exchange.ts'
export {
  type ApplicationCredentialOptions,
  applicationCredential,
  type Interface,
  type KeystoneOptions,
  type KeystonePasswordOptions,
  type KeystoneTokenOptions,
  keystonePassword,
  keystoneToken,
  type Scope,
  type User,
} from './keystone.ts'
export type { OrielInput, OrielOperation, OrielOperations } from './oriel.ts'
