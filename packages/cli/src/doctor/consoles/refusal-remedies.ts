/** What to do about each refusal and close reason of a console proxy. */

import type { RefusalName } from '@oriel/contract'
import type { CloseReason } from '@oriel/sdk/close-reasons'
import type { Remedy } from '../problem.ts'
import type { CloudFacts } from './settings.ts'

/** Returns the remedy for a refusal of Oriel's proxy. @param setting the key with the base URL of this type */
export function refusalRemedy({ refusal, allow }: CloseReason, setting: string, facts: CloudFacts): Remedy {
  if (refusal === undefined) return { side: 'oriel-proxy', remedy: 'Read the log of oriel-proxy.' }
  if (refusal === 'foreign_origin') return originRemedy(allow)
  return remedies(setting, facts)[refusal]
}

/** The proxy names an origin to allow if the host differs. Otherwise the scheme differs. */
function originRemedy(allow: string | undefined): Remedy {
  if (allow !== undefined) {
    const remedy = `Let the load balancer keep the Host header (nginx: proxy_set_header Host $host; HAProxy: no set-header Host), or set base_url = "${allow}" in the [[listen]] of oriel-proxy.`
    return { side: 'load balancer', remedy }
  }
  const remedy =
    'Let the load balancer set X-Forwarded-Proto to the scheme that the browser used, and list the load balancer in origin.trusted_proxies of oriel-proxy.'
  return { side: 'load balancer', remedy }
}

const CHECK = 'Run `oriel-proxy --config proxy.toml --check-config --online` on its host'

type Other = Exclude<RefusalName, 'foreign_origin'>

const remedies = (setting: string, { isOriel }: CloudFacts) =>
  ({
    bad_request: {
      side: 'load balancer',
      remedy: 'Pass on the headers Host, Upgrade, Connection and Sec-WebSocket-* once and unchanged, over HTTP/1.1.',
    },
    missing_token: {
      side: 'load balancer',
      remedy: 'Pass on the query of the address: it carries the token.',
    },
    unknown_token: {
      side: 'oriel-proxy',
      remedy: `The proxy asks another API, or the API stores tokens elsewhere: compare authority.endpoint of oriel-proxy with this endpoint${isOriel ? ', and tokens.store of all replicas of oriel-api' : ''}.`,
    },
    foreign_host: {
      side: 'load balancer',
      remedy: 'Keep the Host header, or add the host to origin.allowed of oriel-proxy.',
    },
    wrong_console_type: {
      side: isOriel ? 'oriel-api' : 'Nova',
      remedy: `Lead ${setting} to the [[listen]] of oriel-proxy whose consoles have this type.`,
    },
    not_found: {
      side: 'load balancer',
      remedy: `Keep the path, or correct it in ${setting}: a listener with several types needs the prefix of the type, with its slashes, such as /serial/.`,
    },
    console_moved: {
      side: isOriel ? 'oriel-api' : 'Nova',
      remedy: 'Run oriel doctor again. If it stays, the API names an address that the hypervisor does not have.',
    },
    in_use: {
      side: 'client',
      remedy: 'Close the other session (`oriel sessions`), or try again later.',
    },
    switched_off: { side: 'client', remedy: 'Start the machine, and run oriel doctor again.' },
    too_many: {
      side: 'oriel-proxy',
      remedy: 'Close sessions (`oriel sessions`), or raise sessions.max_total, max_per_instance or max_per_client.',
    },
    too_many_attempts: {
      side: 'oriel-proxy',
      remedy:
        'List the load balancer in origin.trusted_proxies, so that its clients are counted apart, and try again in a minute.',
    },
    console_unreachable: {
      side: 'hypervisor',
      remedy: isOriel
        ? 'Check that the guest runs, that its console listens at the host and port that the source of oriel-api names, and that the proxy may reach it.'
        : 'Check that the guest runs, that server_listen and server_proxyclient_address in nova.conf of its host are an address that the proxy may reach, and its firewall.',
    },
    security_failed: {
      side: 'hypervisor',
      remedy:
        'Compare the security of its console with hypervisor.vnc.auth_schemes, hypervisor.vnc.ca and hypervisor.hosts of oriel-proxy; its log has the exact cause.',
    },
    authority_unavailable: {
      side: 'oriel-proxy',
      remedy: `${CHECK}: it cannot use its API (authority.endpoint, authority.auth), and names the key.`,
    },
    draining: { side: 'oriel-proxy', remedy: 'Run oriel doctor again once the proxy has restarted.' },
    console_timeout: {
      side: 'hypervisor',
      remedy:
        'Open the firewall from the proxy to the console ports of the hypervisor (VNC: 5900 and up). The deadlines are hypervisor.dial_timeout_ms and handshake_timeout_ms of oriel-proxy.',
    },
  }) as const satisfies Record<Other, Remedy>

/** Returns the remedy for the end of an open console by its close code. */
export function endRemedy(code: number): Remedy {
  return ends[code as keyof typeof ends] ?? { side: 'console proxy', remedy: 'Read the log of the console proxy.' }
}

const ends = {
  1001: { side: 'oriel-proxy', remedy: 'Run oriel doctor again once the proxy has restarted.' },
  1011: { side: 'console proxy', remedy: 'Read the log of the console proxy: it names the error.' },
  4000: { side: 'hypervisor', remedy: 'Check that the guest runs, and read the log of its hypervisor.' },
  4001: {
    side: 'hypervisor',
    remedy: 'Compare the security of its console with hypervisor.vnc of oriel-proxy; its log has the exact cause.',
  },
  4009: {
    side: 'hypervisor',
    remedy:
      'Correct the address of this console in its source: another guest answers there. The log of oriel-proxy names that guest; hypervisor.identity is the check.',
  },
  4012: { side: 'client', remedy: 'Start the machine, and run oriel doctor again.' },
} as const satisfies Record<number, Remedy>
