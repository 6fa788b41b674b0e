/**
 * Console type `spice-html5`: SPICE in binary WebSocket frames, one WebSocket for each channel, all with one token. The
 * SPICE link is between the browser and the hypervisor; nothing of it is ended here, so a SPICE server must trust the
 * proxy's network, or be used through `spice-direct`.
 */
import { type Console, type IdentitySetting, nothingToShake } from './console.ts'
import { carryingOnly, identifying } from './protocol-guard.ts'

export const spiceHtml5 = (identity: IdentitySetting): Console => ({
  subprotocols: ['binary'],
  pages: { '/spice_auto.html': 'spice_auto.html' },
  acceptsText: false,
  secure: async (dialled, _limits, { log }) => carryingOnly({ only: identifying.spice }, dialled, identity, log),
  greet: nothingToShake,
})
