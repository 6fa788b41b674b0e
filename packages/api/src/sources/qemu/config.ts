/** The `qemu` kind of `[[sources]]`. */
import { host, MAX_TIMER_MS, MAX_TIMER_SECONDS } from '@oriel/runtime'
import * as Type from 'typebox'
import { ownerKeys, restartKeys } from '../guests/config.ts'
import { reachKeys } from '../guests/reach.ts'

export const qemuSourceConfig = Type.Object(
  {
    kind: Type.Literal('qemu', { description: 'The kind of source.' }),
    qmp: Type.String({
      minLength: 1,
      description: 'A glob of QMP sockets, such as /run/oriel/*.qmp; each is one guest.',
    }),
    host: host({ description: 'The name or address of this host, as seen from the proxy.' }),
    ...ownerKeys,
    ...reachKeys,
    serial_chardev: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Label of the serial chardev. Absent: the first serial device that the proxy may dial.',
      }),
    ),
    poll_seconds: Type.Number({
      default: 1,
      minimum: 0.1,
      maximum: MAX_TIMER_SECONDS,
      description: 'How often sockets and guests are polled.',
    }),
    ...restartKeys,
    answer_timeout_ms: Type.Integer({
      default: 2000,
      minimum: 1,
      maximum: MAX_TIMER_MS,
      description: 'Deadline for QEMU to reply to a command.',
    }),
  },
  { additionalProperties: false },
)
export type QemuSourceConfig = Type.Static<typeof qemuSourceConfig>
