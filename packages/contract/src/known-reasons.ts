/** How the API tells a proxy that a machine is switched off, which proxies before `switched_off` do not know. */

/**
 * The request header by which a proxy lists the close reasons and refusals that it knows besides the first ones. The API sends
 * others to no proxy.
 */
export const REASONS_HEADER = 'Oriel-Known-Reasons'
export type KnownReason = 'switched_off'
/** The value of the header, separated by commas. */
export const KNOWN_REASONS: KnownReason = 'switched_off'

/** The key of the fault 409 with which the API refuses to admit a session of a machine that is switched off. */
export const SWITCHED_OFF_FAULT = 'switchedOff'
