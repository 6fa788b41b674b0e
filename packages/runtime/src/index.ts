/** The parts that all Oriel programs share: lifecycle, configuration, log, admin listener, secrets and addresses. */
export {
  type AddressSet,
  addressSet,
  canonicalAddress,
  isLocalHost,
  isLocalOrigin,
  isLoopback,
  networkOf,
} from './addresses.ts'
export {
  type AdminApp,
  type AdminListener,
  type AdminOptions,
  createAdminListener,
} from './admin.ts'
export type { HealthListener } from './ask-health.ts'
export { ConfigError, type ConfigFault, faultLine } from './config/error.ts'
export {
  count,
  MAX_TIMER_MS,
  MAX_TIMER_SECONDS,
  milliseconds,
  oneOf,
  optionalText,
  seconds,
  table,
  texts,
} from './config/fields.ts'
export { listenerTlsTable, reloadableTlsKeys } from './config/listener-tls.ts'
export { consoleHost, host, hostOrNetwork, hostRecord, network, pathPattern, webUrl } from './config/network.ts'
export { type CertificateTable, caFaults, certificateFaults, parseCertificates } from './config/pem.ts'
export { type ProgramFile, programFiles } from './config/program-files.ts'
export {
  formatListen,
  type ListenAddress,
  listenAddress,
  parsedText,
  parseListen,
  pem,
  secretPem,
  secretString,
  sha256Digest,
} from './config/schemas.ts'
export { type ListenKey, sharedAddresses } from './config/shared-addresses.ts'
export { type ConfigInput, loadConfig } from './config.ts'
export { type Deadline, deadline, isTimeUp, within } from './deadline.ts'
export { guardPeer } from './guard-peer.ts'
export { canonicalHost, originProblem, parseHost } from './host.ts'
export {
  EXIT,
  type ExitCode,
  type ProgramOptions,
  type ProgramWorld,
  runProgram,
  type StartContext,
  type Started,
  type TextSink,
} from './lifecycle.ts'
export { boundAddress, ListenError, listenMessage, listenOn } from './listen-on.ts'
export { createLogger, type Logger, type LoggerOptions, logLevel, silentLogger } from './log.ts'
export { maskTokens, maskValue, redactUrl } from './mask.ts'
export { withLogMetrics, withProcessMetrics } from './metrics.ts'
export { Output, type OutputOptions, type Put } from './output.ts'
export { pathPatterns } from './path-patterns.ts'
export { startPeriodic } from './periodic.ts'
export { readingFailure, readTextFile } from './read-file.ts'
export { type CheckState, type Health, type Readiness, type ReadinessOptions, readiness } from './readiness.ts'
export { allowingLine, RefusedOrigins, type RefusedOriginsOptions } from './refused-origins.ts'
export { matchesSha256, Secret, sha256Hex } from './secret.ts'
export type { SignalSource } from './signals.ts'
export { isUnixHost, unixSocketPath } from './unix-host.ts'
export { createWebServer, type ListenerTls, listenerTls, reloadCertificate, type WebServer } from './web-server.ts'
