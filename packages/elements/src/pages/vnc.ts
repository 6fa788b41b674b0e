/** The console page of noVNC consoles: `vnc.html`, served as `vnc_lite.html` and `vnc_auto.html` too. */
import { OrielVnc } from '../oriel-vnc.ts'
import { copy, dial, followState, offerFullScreen, offerScale, onClick, onSubmit, showName } from './console-page.ts'
import { byId, setText } from './dom.ts'
import { readPageQuery } from './page-query.ts'
import { offerPeople } from './people.ts'
import { offerKeys } from './vnc-keys.ts'
import { offerTyping } from './vnc-typing.ts'

const screen = byId('console', OrielVnc)
const query = readPageQuery(location.href)

const rename = showName(query)
screen.addEventListener('desktopname', ({ detail }) => rename(detail.name))
offerKeys(screen)
offerTyping(screen, () => query.detail || query.name || screen.desktopName)
offerClipboard()
offerScale(screen, query.scale === 'none' ? 'fit' : query.scale)
offerFullScreen(screen)
offerPeople(screen)
followState(screen, query)
screen.scale = query.scale
dial(screen, query)

function offerClipboard(): void {
  const [text, note] = [byId('clipboard-text', HTMLTextAreaElement), byId('clipboard-note', HTMLElement)]
  screen.addEventListener('clipboard', ({ detail }) => {
    text.value = detail.text
    setText(note, 'Received from the machine.')
  })
  onSubmit('clipboard-panel', () => {
    screen.sendClipboard(text.value)
    setText(note, 'Sent.')
  })
  onClick('clipboard-copy', async () => {
    text.select()
    setText(note, (await copy(text.value)) ? 'Copied.' : 'The text is selected: copy it with Ctrl+C.')
  })
}
