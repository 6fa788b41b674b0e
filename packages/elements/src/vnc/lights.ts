/** The lights of a machine's keyboard, as its VNC server reports them (pseudo-encoding -261). */
import type { NumLockLight } from '@oriel/console'

/** Which lights are on. */
export interface Lights {
  readonly numLock: boolean
  readonly capsLock: boolean
}

/** A light whose next changes can be awaited. */
export type Light = NumLockLight

/** The lights of one connection. */
export class KeyboardLights {
  readonly #observers = new Set<() => void>()
  readonly #changes = { numLock: 0, capsLock: 0 }
  #now: Lights | undefined
  #end: Error | undefined

  report(lights: Lights): void {
    // The first report is no change.
    if (this.#now !== undefined) {
      if (lights.numLock !== this.#now.numLock) this.#changes.numLock += 1
      if (lights.capsLock !== this.#now.capsLock) this.#changes.capsLock += 1
    }
    this.#now = lights
    for (const observe of this.#observers) observe()
  }

  /** Rejects all waits with `reason`. */
  close(reason: Error): void {
    this.#end = reason
    for (const observe of this.#observers) observe()
  }

  /**
   * Returns a light, or `undefined` if the server has reported none.
   * @param signal rejects the waits for the light
   */
  light(name: keyof Lights, signal?: AbortSignal): Light | undefined {
    if (this.#now === undefined) return undefined
    const [changes, isOn] = [() => this.#changes[name], () => this.#now?.[name] === true]
    return {
      get isOn() {
        return isOn()
      },
      get changes() {
        return changes()
      },
      hasChanged: (times, timeoutMs) => this.#until(() => changes() >= times, timeoutMs, signal),
    }
  }

  async #until(isReached: () => boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), timeoutMs)
    const observe = () => {
      if (isReached()) resolve(true)
      else if (this.#end !== undefined) reject(this.#end)
      else if (signal?.aborted) reject(signal.reason)
    }
    this.#observers.add(observe)
    signal?.addEventListener('abort', observe)
    observe()
    return promise.finally(() => {
      clearTimeout(timer)
      this.#observers.delete(observe)
      signal?.removeEventListener('abort', observe)
    })
  }
}
