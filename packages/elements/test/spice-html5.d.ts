/** The part of spice-html5 that encrypts tickets: version 0.2.1. */
declare module '@spice-project/spice-html5/src/ticket.js' {
  /** @param der the SubjectPublicKeyInfo of a link reply */
  export function create_rsa_from_mb(der: Uint8Array, at: number): object
  export function rsa_encrypt(key: object, text: string): number[]
}
