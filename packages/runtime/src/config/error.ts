/** What is wrong with a configuration: every fault, each with its key path and a remedy. */

/** One fault. It never carries the value of a secret. */
export interface ConfigFault {
  /** Key path (`tokens.ttl_seconds`, `listen[0].address`), an environment variable's name, or `''` for the whole file. */
  readonly path: string
  /** What is wrong and what to write instead, in plain words. */
  readonly message: string
  /** A warning does not keep the program from starting. Default: it does. */
  readonly severity?: 'warning'
}

/** Thrown by `loadConfig` with everything that it found wrong, not only the first fault. */
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

/** `path: message`; `place` (a file name) stands in for the empty path of a fault that concerns the whole file. */
export function faultLine(fault: ConfigFault, place = ''): string {
  const path = fault.path || place
  return path ? `${path}: ${fault.message}` : fault.message
}

function count(faults: number): string {
  return faults === 1 ? '1 fault' : `${faults} faults`
}
