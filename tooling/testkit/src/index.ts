export {
  type Bytes,
  byteByByte,
  connectPeer,
  duplexPair,
  freePort,
  hex,
  type Peer,
  type ScriptedServer,
  scriptedServer,
} from './bytes.ts'
export { type Exit, stopTimeoutMs } from './child.ts'
export { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'
export { type DrawnFont, type DrawOptions, drawText } from './drawn-text.ts'
export {
  type NovaAddress,
  type NovaBehaviour,
  type NovaConsole,
  type NovaRequest,
  type NovaRule,
  type NovaServer,
  type NovaStub,
  type NovaStubOptions,
  recordedMicroversions,
  startNovaStub,
} from './nova-stub.ts'
export { decodePng, differingShare, encodePng, parsePpm, type RgbPicture } from './pictures.ts'
export { type TemporaryPkiOptions, temporaryPki } from './pki.ts'
export { type LogRecord, type ProgramOptions, type RunningProgram, startProgram } from './program.ts'
export { alertExprs, type Dashboard, dashboardFaults, scrapedNames, unknownIn } from './prometheus.ts'
export { type QemuGuest, type QemuOptions, type QemuTls, startQemu, type VncOptions } from './qemu.ts'
export { connectQmp, type QmpClient, QmpError, type QmpEvent } from './qmp.ts'
export {
  hasChromium,
  hasPart,
  hasQemu,
  helmPath,
  type Part,
  type Requirement,
  requirement,
  requires,
} from './requirements.ts'
export { type TemporaryFolder, temporaryFolder } from './temporary-folder.ts'
export {
  serverCertificate,
  type VencryptServer,
  type VencryptServerOptions,
  vencryptServer,
} from './vencrypt-server.ts'
