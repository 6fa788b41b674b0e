/** The table `screenshots`. */
import { table, webUrl } from '@oriel/runtime'
import * as Type from 'typebox'

export const screenshotsConfig = table(
  {
    enabled: Type.Boolean({ default: true, description: 'Whether users may see screenshots of servers.' }),
    proxy_url: Type.Optional(
      webUrl({
        description:
          'Where the API opens noVNC consoles for screenshots, if it cannot use consoles.novnc.base_url: the same page of a proxy, at an address that the API reaches.',
      }),
    ),
    per_minute: Type.Integer({
      default: 120,
      minimum: 1,
      maximum: 6000,
      description: 'How many new screenshots the servers of a project may have in a minute.',
    }),
  },
  { default: {} },
)
export type ScreenshotsConfig = Type.Static<typeof screenshotsConfig>
