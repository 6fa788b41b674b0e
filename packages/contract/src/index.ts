/**
 * The contract of Oriel: Nova's Server Consoles API at every microversion, and the types that API, proxy, pages and SDK
 * share.
 */
export { accessUrl, EXPIRES_HEADER, tokenOf } from './access-url.ts'
export type {
  BodyAt,
  ConnectInfo,
  NewestBody,
  NewestResponse,
  PathParameter,
  RemoteConsoleAt,
  ResponseAt,
  RouteNameAt,
} from './calls.ts'
export type { CloseReason } from './close-reason.ts'
export { type CloseReasonName, closeReason, closeReasons } from './close-reasons.ts'
export {
  type ConsoleType,
  consoleTypes,
  isConsoleType,
  isOpenable,
  type OpenableConsoleType,
  type OpenableProtocol,
  openableConsoleTypes,
  opens,
  type Protocol,
  type TokenPlace,
} from './console-types.ts'
export {
  type AdmittedConsole,
  type EndReason,
  EXTENSION_PATH,
  type ExtensionBody,
  type ExtensionQuery,
  type ExtensionResponse,
  type ExtensionRoute,
  type ExtensionRouteName,
  type ExtensionRoutes,
  extensionRoutes,
  type HeldPort,
  type Invitation,
  type PageInvitation,
  type SerialPort,
  type ServerConsoles,
  type Session,
  type SharedConsole,
} from './extension.ts'
export { extensionOpenapi } from './extension-openapi.ts'
export {
  type FaultBody,
  type FaultDetail,
  type FaultKey,
  faultBody,
  faultKey,
  faultKeys,
  faultSchema,
  readFault,
} from './faults.ts'
export { KNOWN_REASONS, type KnownReason, REASONS_HEADER, SWITCHED_OFF_FAULT } from './known-reasons.ts'
export {
  API_VERSION,
  BASE_PATH,
  EARLIEST,
  history,
  isMicroversion,
  LATEST,
  type Microversion,
  microversions,
  type Route,
  type RouteName,
  type Routes,
  routes,
} from './microversions.ts'
export {
  LEGACY_HEADER,
  type Negotiated,
  negotiate,
  SERVICE_TYPE,
  STANDARD_HEADER,
  type VersionHeaders,
  versionHeaders,
} from './negotiate.ts'
export { openapi } from './openapi.ts'
export {
  isPageKey,
  PAGE_SUBPROTOCOL_PREFIX,
  PRESENCE_PATH,
  PRESENCE_SUBPROTOCOL,
  pageSubprotocol,
} from './page-key.ts'
export {
  type PresenceConsoleRequest,
  type PresenceInvitation,
  type PresenceInvitationRequest,
  type PresenceInvitationRevoked,
  type PresenceInvited,
  type PresenceMessage,
  type PresenceParticipant,
  type PresencePing,
  type PresenceRefused,
  type PresenceRequest,
  type PresenceState,
  presenceConsoleRequest,
  presenceInvitationRequest,
  presenceInvitationRevoked,
  presenceInvited,
  presenceMessage,
  presencePing,
  presencePong,
  presenceRefused,
  presenceRequest,
  presenceState,
} from './presence.ts'
export { project } from './project.ts'
export {
  REFUSALS_SUBPROTOCOL,
  type RefusalDetail,
  readRefusal,
  refusal,
  refusalClose,
  refusals,
} from './refusals.ts'
export { type RefusalName, type Remedy, refusalNames } from './remedies.ts'
export {
  isTicket,
  RESUME_NAME,
  RESUME_PARAMETER,
  type ResumeAnswer,
  type ResumeRequest,
  resumeCookie,
  TICKET_SUBPROTOCOL_PREFIX,
  ticketSubprotocol,
} from './resume.ts'
export { type ConsoleRole, consoleRoles, ROLES_HEADER } from './roles.ts'
export { SERVER_PARAMETER } from './server-parameter.ts'
export { pathAddress, socketAddress } from './socket-address.ts'
export { type Alive, type At, alive, at, minor, type StaticAt } from './versioned.ts'
export { versionDocument, versionList } from './versions.ts'
export { type SchemeSymptoms, wrongScheme } from './wrong-scheme.ts'
