/** The table `consoles`: the offered console types, and the base URL of each. */
import type { OpenableConsoleType } from '@oriel/contract'
import { table } from '@oriel/runtime'
import * as Type from 'typebox'

const consoleConfig = (enabled: boolean, baseUrl: string) =>
  table(
    {
      enabled: Type.Boolean({ default: enabled, description: 'Whether clients can create consoles of this type.' }),
      base_url: Type.String({
        default: baseUrl,
        description:
          'The URL that opens it, to which the token is added. Absent in oriel: the listener of its proxy that serves this type.',
      }),
    },
    { default: {} },
  )

export const consolesConfig = table(
  {
    novnc: consoleConfig(true, 'http://127.0.0.1:6080/vnc_lite.html'),
    'spice-html5': consoleConfig(true, 'http://127.0.0.1:6082/spice_auto.html'),
    'spice-direct': consoleConfig(true, 'http://127.0.0.1:13002/nova'),
    serial: consoleConfig(true, 'ws://127.0.0.1:6083/'),
    webmks: consoleConfig(false, 'http://127.0.0.1:6090/webmks.html'),
  } satisfies Record<OpenableConsoleType, Type.TSchema>,
  { default: {} },
)
export type ConsolesConfig = Type.Static<typeof consolesConfig>
