/**
 * noVNC's RFB client with two things that its API lacks: an event for the lights of the machine's keyboard, and a way to
 * release all keys. This is the only file that uses noVNC's private members; `tests/e2e/console.test.ts` fails if they change.
 */
import RFB from '@novnc/novnc'
import type { Lights } from './lights.ts'

export class OrielRfb extends RFB {
  /** Called whenever the machine has reported the lights of its keyboard. */
  onLights: ((lights: Lights) => void) | undefined

  /** Releases every key that the user holds down on the screen. */
  releaseKeys(): void {
    this._keyboard._allKeysUp()
  }

  protected override _handleLedEvent(): boolean {
    const isComplete = super._handleLedEvent()
    if (isComplete) this.onLights?.({ numLock: this._remoteNumLock === true, capsLock: this._remoteCapsLock === true })
    return isComplete
  }
}
