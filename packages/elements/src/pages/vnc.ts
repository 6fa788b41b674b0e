/** The console page of noVNC consoles: `vnc.html`, served as `vnc_lite.html` and `vnc_auto.html` too. */
import { t } from '../language/texts/vnc-page.ts'
import { loadPart } from '../load-part.ts'
import { OrielVnc } from '../oriel-vnc.ts'
import {
  dial,
  followState,
  loadNow,
  offerFullScreen,
  offerPeopleOnceConnected,
  offerSession,
  onFirstOpen,
  showName,
} from './console-page.ts'
import { byId } from './dom.ts'
import { startLanguage } from './page-language.ts'
import { readPageQuery } from './page-query.ts'
import { offerClipboard } from './vnc-clipboard.ts'
import { offerKeys } from './vnc-keys.ts'
import { offerTyping } from './vnc-typing.ts'

await startLanguage()
const screen = byId('console', OrielVnc)
const query = readPageQuery(location.href)

/** Names the machine, to remember its keyboard layout by. */
const server = () => query.detail || query.name || screen.desktopName

const rename = showName(query)
screen.addEventListener('desktopname', ({ detail }) => rename(detail.name))
const takeHeld = offerKeys(screen)
offerTyping(screen, server)
if (matchMedia('(pointer: coarse)').matches) loadNow(screen, loadSoftKeyboard)
offerClipboard(screen)
onFirstOpen('view-panel', async () => (await loadPart(() => import('./vnc-view.ts'))).offerView(screen))
offerSession(screen, () => {
  const { width, height } = screen.resolution
  return [[t('session.resolution'), `${width} × ${height}`]]
})
offerFullScreen(screen)
offerPeopleOnceConnected(screen)
followState(screen)
screen.scale = query.scale
screen.dotCursor = true
dial(screen, query)

async function loadSoftKeyboard(): Promise<void> {
  const { offerSoftKeyboard } = await loadPart(() => import('./soft-keyboard.ts'))
  const layout = async () => (await loadPart(() => import('../layout-choice.ts'))).chosenLayout(server())
  offerSoftKeyboard(screen, layout, takeHeld)
}
