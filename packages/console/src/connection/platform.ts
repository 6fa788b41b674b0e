/** The platforms that this package runs on. */
import { SettingsError } from '@oriel/sdk'

/** @throws SettingsError where consoles would fail with a TypeError that names a function of this package */
export function requirePlatform(): void {
  if (typeof Promise.withResolvers === 'function' && typeof WebSocket === 'function') return
  const { process } = globalThis as { readonly process?: { readonly version?: string } }
  throw new SettingsError(
    `@oriel/console needs Node 22, Deno 1.38, Bun or a browser of 2024, or a newer one; this is ${process?.version ?? 'older'}`,
  )
}
