/** The time spans of the proxy, in milliseconds: from the configuration, or constants with their reasons. */
export interface Timing {
  readonly dialTimeoutMs: number
  /** The hypervisor's handshake, once it is connected. */
  readonly hypervisorHandshakeMs: number
  /** The client's, of TLS as of RFB: a browser may be far away and busy. */
  readonly clientHandshakeMs: number
  /** 0: never ping. */
  readonly pingIntervalMs: number
  /** Without input from the client; 0: for ever. */
  readonly idleTimeoutMs: number
  /** From the opening; 0: for ever. */
  readonly maxSessionMs: number
  /** How long a side may take nothing while something waits for it: longer than a phone needs to change networks. */
  readonly stalledAfterMs: number
  /** How long the client may take to answer a close frame. */
  readonly closeTimeoutMs: number
  /** How long sessions may take to close when the proxy stops. */
  readonly drainMs: number
}
