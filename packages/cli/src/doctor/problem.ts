/** The faults that checks find, each with the place and the way to fix it. */

/** Where a fault is fixed. `compute API` and `console proxy` are Nova's or Oriel's, if the check cannot tell them apart. */
export type Side =
  | 'client'
  | 'DNS'
  | 'load balancer'
  | 'identity service'
  | 'compute API'
  | 'oriel-api'
  | 'Nova'
  | 'console proxy'
  | 'oriel-proxy'
  | 'hypervisor'

/** The way to fix a fault. */
export interface Remedy {
  readonly side: Side
  /** A sentence with the configuration key, the header or the command. */
  readonly remedy: string
}

/** Thrown by a check that found a fault. The message has the faulty value, without tokens. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly side: Side
  readonly remedy: string
  constructor(message: string, { side, remedy }: Remedy, options?: ErrorOptions) {
    super(message, options)
    this.side = side
    this.remedy = remedy
  }
}

/** Thrown by a check that has nothing to check here. The message says why. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable'
}
