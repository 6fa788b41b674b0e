/** All measurements by the name for `--only`, in the order in which they run and appear in the page. */
import type { Measurement } from './measurement.ts'
import { boots } from './measurements/boots.ts'
import { distance } from './measurements/distance.ts'
import { firstScreen } from './measurements/first-screen.ts'
import { idleMemory } from './measurements/idle-memory.ts'
import { manySessions } from './measurements/many-sessions.ts'
import { openClose } from './measurements/open-close.ts'
import { roundTrip } from './measurements/round-trip.ts'
import { spiceMemory } from './measurements/spice-memory.ts'
import { spiceThroughput } from './measurements/spice-throughput.ts'
import { stalledClient } from './measurements/stalled-client.ts'
import { throughput } from './measurements/throughput.ts'
import { tlsMemory, tlsThroughput } from './measurements/tls.ts'
import { tokens } from './measurements/tokens.ts'
import { typing } from './measurements/typing.ts'
import { upload } from './measurements/upload.ts'

export const measurements = {
  'first-screen': firstScreen,
  distance,
  typing,
  tokens,
  throughput,
  upload,
  'open-close': openClose,
  'round-trip': roundTrip,
  'idle-memory': idleMemory,
  'tls-throughput': tlsThroughput,
  'tls-memory': tlsMemory,
  'stalled-client': stalledClient,
  'many-sessions': manySessions,
  'spice-throughput': spiceThroughput,
  'spice-memory': spiceMemory,
  boots,
} as const satisfies Record<string, Measurement>

export type MeasurementName = keyof typeof measurements

export const isMeasurement = (name: string): name is MeasurementName => Object.hasOwn(measurements, name)
