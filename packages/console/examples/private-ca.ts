import { openScreen } from '@oriel/console'
import { WebSocket } from 'ws'

/** Opens a console of a cloud with its own CA, in Node. `NODE_EXTRA_CA_CERTS` works too, without this. */
export const openWith = (url: string, ca: string) =>
  openScreen({ url, webSocket: (address, protocols) => new WebSocket(address, protocols, { ca }) })
