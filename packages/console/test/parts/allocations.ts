/** Observes how much memory typed arrays take. */

const kinds = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array'] as const

/**
 * Replaces the constructors of typed arrays, for modules that are imported afterwards. Returns an object with the size of the
 * largest array since the last `reset()`.
 */
export function observeAllocations() {
  const observed = { largestBytes: 0, reset: () => Object.assign(observed, { largestBytes: 0 }) }
  for (const kind of kinds) {
    const Original = globalThis[kind] as typeof Uint8Array
    class Observed extends Original {
      // biome-ignore lint/suspicious/noExplicitAny: each of the overloads of a constructor
      constructor(...args: any[]) {
        super(...(args as []))
        if (!(args[0] instanceof ArrayBuffer)) observed.largestBytes = Math.max(observed.largestBytes, this.byteLength)
      }
    }
    Object.assign(globalThis, { [kind]: Observed })
  }
  return observed
}
