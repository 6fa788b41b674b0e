/**
 * Console type `spice-html5`: SPICE in binary WebSocket frames, one WebSocket for each channel, all with one token. The
 * SPICE link is between the browser and the hypervisor. The proxy terminates no part of it, so a SPICE server must trust
 * the proxy's network, or be used through native SPICE.
 */
import { type Console, noHandshake } from './console.ts'

export const spiceHtml5: Console = {
  subprotocols: ['binary'],
  acceptsText: false,
  secure: noHandshake,
  greet: noHandshake,
}
