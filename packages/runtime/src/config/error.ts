/** Faults of a configuration, each with its key path and a remedy. */

/** One fault. It never contains the value of a secret. */
export interface ConfigFault {
  /** Key path (`tokens.ttl_seconds`, `listen[0].address`), an environment variable's name, or `''` for the whole file. */
  readonly path: string
  /** The fault and its remedy, in words that follow the path. */
  readonly message: string
  /** A warning does not prevent the start. Default: an error, which does. */
  readonly severity?: 'warning'
}

/** Thrown by `loadConfig` with all faults, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly ConfigFault[]

  constructor(faults: readonly ConfigFault[], options?: ErrorOptions) {
    super(
      `the configuration has ${count(faults.length)}:\n${faults.map((fault) => faultLine(fault)).join('\n')}`,
      options,
    )
    this.faults = Object.freeze([...faults])
  }
}

/** `path: message`; `file` replaces the empty path of a fault that concerns the whole file. */
export function faultLine(fault: ConfigFault, file = ''): string {
  const path = fault.path || file
  return path ? `${path}: ${fault.message}` : fault.message
}

function count(faults: number): string {
  return faults === 1 ? '1 fault' : `${faults} faults`
}
