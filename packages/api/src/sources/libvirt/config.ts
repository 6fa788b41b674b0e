/** The `libvirt` kind of `[[sources]]`. */
import { host, MAX_TIMER_MS, MAX_TIMER_SECONDS } from '@oriel/runtime'
import * as Type from 'typebox'
import { ownerKeys, restartKeys } from '../guests/config.ts'
import { reachKeys } from '../guests/reach.ts'

const uri = Type.String({
  pattern: '^[a-z][a-z0-9+.-]*://[^\\s]*$',
  'x-remedy': 'a libvirt URI, such as qemu:///system or qemu+tls://compute-1.example/system',
  description: 'A libvirt connection URI, such as qemu:///system or qemu+tls://compute-1.example/system.',
})

export const libvirtSourceConfig = Type.Object(
  {
    kind: Type.Literal('libvirt', { description: 'The kind of source.' }),
    uri: Type.Union([uri, Type.Array(uri, { minItems: 1 })], {
      description: 'One libvirt connection URI or several, such as qemu:///system.',
    }),
    host: Type.Optional(
      host({
        description: "The hypervisor as seen from the proxy. Absent: the URI's own host, or 127.0.0.1 for a local URI.",
      }),
    ),
    ...ownerKeys,
    ...reachKeys,
    passwords: Type.Boolean({
      default: false,
      description:
        "Whether proxies with authority.kind oriel get the VNC passwords in the domains' XML. Requires read-write access to libvirt, from which virsh dumpxml --security-info reads them.",
    }),
    poll_seconds: Type.Number({
      default: 5,
      minimum: 0.1,
      maximum: MAX_TIMER_SECONDS,
      description: 'How often domains are polled, besides events.',
    }),
    ...restartKeys,
    answer_timeout_ms: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: MAX_TIMER_MS,
      description: 'Deadline of each call of virsh.',
    }),
  },
  { additionalProperties: false },
)
export type LibvirtSourceConfig = Type.Static<typeof libvirtSourceConfig>

/** Returns the host of the hypervisor behind `uri`, as the proxy sees it. */
export function hostOf(uri: string, { host }: LibvirtSourceConfig): string {
  if (host !== undefined) return host
  const named = /^[^:]+:\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:/?]*)/.exec(uri)?.[1]?.replace(/^\[(.*)\]$/, '$1')
  return named || '127.0.0.1'
}
