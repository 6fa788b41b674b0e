/** `[admin]`: where health and metrics are served. */
import { listenAddress, table } from '@oriel/runtime'

/** `[admin]`. The default is the port before that of the proxy's table. */
export const adminTable = table({
  listen: Object.assign(listenAddress('127.0.0.1:6078'), {
    description:
      'The address of /healthz, /readyz and /metrics, as host:port. Without the table [admin], only /healthz and /readyz are served, beside the API.',
  }),
})
