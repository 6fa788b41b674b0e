/**
 * Console type `spice-html5`: SPICE in binary WebSocket frames, one WebSocket for each channel, all with one token. The
 * SPICE link is between the browser and the hypervisor. The proxy terminates no part of it, so a SPICE server must trust
 * the proxy's network, or be used through native SPICE.
 */
import type { InputPermission } from '../hypervisor/input-permission.ts'
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import { type Console, noHandshake } from './console.ts'
import { watchSpice } from './spice-watcher.ts'

export const spiceHtml5: Console = {
  subprotocols: ['binary'],
  acceptsText: false,
  secure: noHandshake,
  limitInput,
  greet: noHandshake,
}

/** Reads only what a watcher sends: a SPICE server has one viewer, so that control cannot be handed to another one. */
function limitInput(leg: HypervisorSocket, input: InputPermission): HypervisorSocket {
  if (input.role === 'watch') return watchSpice(leg)
  input.canWithhold = false
  return leg
}
