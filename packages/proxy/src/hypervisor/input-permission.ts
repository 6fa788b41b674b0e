/** Whether a session may send input to the guest. The session's leg and the code that hands control over share one object. */
import type { ConsoleRole } from '@oriel/contract'

export class InputPermission {
  readonly role: ConsoleRole
  /**
   * Whether the leg can tell input from other messages. Once `false`, it remains so, and the session ends as soon as it sends
   * anything without `mayInput`.
   */
  canWithhold = true
  /** Called whenever input is forbidden, so that the leg can release keys that the client holds. */
  onWithheld: (() => void) | undefined
  #mayInput: boolean

  constructor(role: ConsoleRole) {
    this.role = role
    this.#mayInput = role === 'control'
  }

  /** Whether the session may send input now. Legs read it at the beginning of each of the client's messages. */
  get mayInput(): boolean {
    return this.#mayInput
  }

  set mayInput(mayInput: boolean) {
    this.#mayInput = mayInput
    if (!mayInput) this.onWithheld?.()
  }
}
