/**
 * noVNC's RFB client with what its API lacks: the lights of the machine's keyboard, its resolution, a way to release all keys, and whether the
 * clipboard takes Unicode. This is the only file that uses noVNC's private members; `tests/e2e/console.test.ts` fails if they change.
 */
import RFB from '@novnc/novnc'
import type { Lights } from './lights.ts'

/** A format and an action of the extended clipboard. */
const TEXT = 1
const NOTIFY = 1 << 27

export class OrielRfb extends RFB {
  /** Called whenever the machine has reported the lights of its keyboard. */
  onLights: ((lights: Lights) => void) | undefined

  /** Called whenever the machine's resolution has changed, and when it is known first. */
  onResize: ((width: number, height: number) => void) | undefined

  /** Whether the server has the extended clipboard, which is in UTF-8. The clipboard of RFC 6143 is in Latin-1. */
  get hasUnicodeClipboard(): boolean {
    const [formats, actions] = [this._clipboardServerCapabilitiesFormats, this._clipboardServerCapabilitiesActions]
    // The condition under which noVNC uses it.
    return formats[TEXT] === true && actions[NOTIFY] === true
  }

  /** Releases every key that the user holds down on the screen. */
  releaseKeys(): void {
    this._keyboard._allKeysUp()
  }

  protected override _resize(width: number, height: number): void {
    super._resize(width, height)
    this.onResize?.(width, height)
  }

  protected override _handleLedEvent(): boolean {
    const isComplete = super._handleLedEvent()
    if (isComplete) this.onLights?.({ numLock: this._remoteNumLock === true, capsLock: this._remoteCapsLock === true })
    return isComplete
  }
}
