/** spice-html5 publishes no types. `spice/session.ts` has the part that the element uses. */
declare module '@spice-project/spice-html5' {
  export const SpiceMainConn: unknown
}
