/** All English texts together, for the build and for tests. Scripts import only the texts that they use. */
import { barTexts } from './texts/bar.ts'
import { elementTexts } from './texts/elements.ts'
import { gatewayTexts } from './texts/gateway.ts'
import { htmlTexts } from './texts/html.ts'
import { listTexts } from './texts/list.ts'
import { missingPartTexts } from './texts/missing-part.ts'
import { pageTexts } from './texts/pages.ts'
import { panelTexts } from './texts/panels.ts'
import { pasteTexts } from './texts/paste.ts'
import { peopleTexts } from './texts/people.ts'
import { screenTexts } from './texts/screens.ts'
import { serialPageTexts } from './texts/serial-page.ts'
import { typingTexts } from './texts/typing.ts'
import { vncPageTexts } from './texts/vnc-page.ts'

export const english = {
  ...barTexts,
  ...elementTexts,
  ...gatewayTexts,
  ...htmlTexts,
  ...listTexts,
  ...missingPartTexts,
  ...pageTexts,
  ...panelTexts,
  ...pasteTexts,
  ...peopleTexts,
  ...screenTexts,
  ...serialPageTexts,
  ...typingTexts,
  ...vncPageTexts,
} as const
