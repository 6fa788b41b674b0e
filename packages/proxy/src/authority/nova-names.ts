/** The names of an instance that its tenant cannot choose: a display name may equal that of another tenant's guest. */
import { Forbidden } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import type { InstanceNames } from '../rfb/identity.ts'
import type { Diagnose } from './diagnose.ts'
import type { NovaServer } from './nova-state.ts'
import { isAboutOne, isUnknown, judgeService, unusableAnswer, type Verdict } from './verdict.ts'

/** The guest's name in libvirt, such as `instance-0000002a`. Nova shows it only to administrators. */
const INSTANCE_NAME = 'OS-EXT-SRV-ATTR:instance_name'

/** The names in Nova's answer. */
export function namesOf(server: NovaServer): InstanceNames {
  const libvirtName = server[INSTANCE_NAME]
  if (libvirtName !== undefined) return { names: [libvirtName, server.id] }
  const remedy = 'the role admin, or one that context_is_admin and os_compute_api:os-extended-server-attributes name'
  return { names: [server.id], missing: `Nova hides ${INSTANCE_NAME} from the proxy, whose credential needs ${remedy}` }
}

/** Judges why Nova did not show a server. */
export function judgeServer(cause: unknown, diagnose: Diagnose): Verdict {
  if (isUnknown(cause)) {
    const detail =
      'Nova does not find the server: it was deleted, or the proxy may not see it (its credential needs the role admin, or one that context_is_admin names)'
    return { refused: new Refused('console_moved', detail, { cause }), evidence: 'answer' }
  }
  // Policy may differ from project to project, so this proves nothing about other instances.
  if (cause instanceof Forbidden) {
    const detail = 'Nova forbids the proxy to read servers: its credential needs the role admin'
    return { refused: new Refused('authority_unavailable', detail, { cause }), evidence: 'answer' }
  }
  // Tenants control the state of their instances, so Nova's own fault about one proves nothing about the others.
  if (isAboutOne(cause)) {
    const detail = `Nova did not return the server: ${cause.message}`
    return { refused: new Refused('console_unreachable', detail, { cause }), evidence: 'answer' }
  }
  // For an instance in a cell that is down, Nova returns little more than the id (API guide, "Handling Down Cells").
  const unusable = unusableAnswer(cause)
  if (unusable) {
    const detail = `Nova did not return the server: ${unusable}`
    return { refused: new Refused('console_unreachable', detail, { cause }), evidence: 'answer' }
  }
  return judgeService(cause, diagnose, 'Nova did not return the server')
}
