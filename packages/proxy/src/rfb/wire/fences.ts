/** The messages of the extensions Fence and ContinuousUpdates of the RFB community specification, as the proxy sends them. */
import { serverTypes } from './server-messages.ts'

/** The pseudo-encodings by which a client offers the two extensions. */
export const FENCE = -312
export const CONTINUOUS_UPDATES = -313

const REQUEST = 2 ** 31
/** The flags that the proxy keeps to in its answers: messages are processed in order anyhow. */
const KNOWN_FLAGS = 0b11
const FLAGS_AT = 4
const PAYLOAD_AT = 9
/** Tells the proxy's fences from those of others. */
const MARK = Buffer.from('oriel')
const ID_BYTES = 4

export const endOfContinuousUpdates = Buffer.of(serverTypes.EndOfContinuousUpdates)

/** Builds a fence that the client returns. @param id 32 bits */
export function requestedFence(id: number): Buffer {
  const payload = Buffer.alloc(MARK.length + ID_BYTES)
  MARK.copy(payload)
  payload.writeUInt32BE(id, MARK.length)
  return serverFence(REQUEST, payload)
}

/** Returns the id of a returned fence of the proxy; `undefined` for any other ClientFence. */
export function idOfReturned(clientFence: Buffer): number | undefined {
  const payload = clientFence.subarray(PAYLOAD_AT)
  const isOwn = payload.length === MARK.length + ID_BYTES && payload.subarray(0, MARK.length).equals(MARK)
  return isOwn && !isRequest(clientFence) ? payload.readUInt32BE(MARK.length) : undefined
}

export const isRequest = (clientFence: Buffer): boolean => clientFence.readUInt32BE(FLAGS_AT) >= REQUEST

/** Builds the answer to a client that requested a fence. */
export const answeredFence = (clientFence: Buffer): Buffer =>
  serverFence(clientFence.readUInt32BE(FLAGS_AT) & KNOWN_FLAGS, clientFence.subarray(PAYLOAD_AT))

function serverFence(flags: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(PAYLOAD_AT + payload.length)
  message[0] = serverTypes.ServerFence
  message.writeUInt32BE(flags, FLAGS_AT)
  message[FLAGS_AT + 4] = payload.length
  payload.copy(message, PAYLOAD_AT)
  return message
}

/** An area of the screen, as FramebufferUpdateRequest and EnableContinuousUpdates have it: x, y, width and height, 2 each. */
export type Area = Buffer

const UPDATE_REQUEST = 3
const INCREMENTAL = 1
const AREA_AT = 2

/** Builds a request for what has changed in an area. */
export const incrementalRequest = (area: Area): Buffer => Buffer.concat([Buffer.of(UPDATE_REQUEST, INCREMENTAL), area])

/** Reads EnableContinuousUpdates, or a FramebufferUpdateRequest, which has the same form. */
export const flagAndArea = (message: Buffer): { readonly flag: boolean; readonly area: Area } => ({
  flag: message[1] !== 0,
  area: Buffer.from(message.subarray(AREA_AT, 10)),
})
