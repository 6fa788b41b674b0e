/** The table `sessions`: how proxies report their sessions, and how long those are kept. */
import { table } from '@oriel/runtime'
import * as Type from 'typebox'

export const sessionsConfig = table(
  {
    beat_seconds: Type.Integer({
      default: 5,
      minimum: 1,
      maximum: 60,
      description: 'How often proxies report. A proxy that misses three reports is lost, and so are its sessions.',
    }),
    retention_days: Type.Integer({
      default: 30,
      minimum: 0,
      maximum: 3650,
      description: 'How long records of ended sessions are kept.',
    }),
  },
  { default: {} },
)
export type SessionsConfig = Type.Static<typeof sessionsConfig>
