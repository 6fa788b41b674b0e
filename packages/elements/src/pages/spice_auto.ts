/** The console page of SPICE consoles: `spice_auto.html`. */
import { OrielSpice } from '../oriel-spice.ts'
import { dial, followState, offerFullScreen, offerScale, offerSession, showName } from './console-page.ts'
import { offerCtrlAltDel } from './ctrl-alt-del.ts'
import { byId } from './dom.ts'
import { startLanguage } from './page-language.ts'
import { readPageQuery } from './page-query.ts'

await startLanguage()
const screen = byId('console', OrielSpice)
const query = readPageQuery(location.href)

showName(query)
offerCtrlAltDel(() => {
  screen.sendCtrlAltDel()
  screen.focus()
})
offerScale(screen, 'fit')
offerSession(screen, () => [])
offerFullScreen(screen)
followState(screen)
screen.scale = query.scale === 'none' ? 'none' : 'fit'
dial(screen, query)
