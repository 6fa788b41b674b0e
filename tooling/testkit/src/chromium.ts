/** A real browser for tests, with an empty profile of its own each time. */
import { type Browser, chromium } from 'playwright-core'
import { chromiumPath } from './requirements.ts'

export { hasChromium } from './requirements.ts'

/** How long Chromium may take to start, often beside emulated guests. */
const startTimeoutMs = 60_000

export interface ChromiumOptions {
  /** More command line flags. */
  readonly args?: readonly string[]
}

/**
 * Starts Debian's Chromium, or the one that `ORIEL_CHROMIUM` names, without a screen. Disposing it ends it.
 *
 * Its sandbox is off, since tests often run as root in containers: load pages of your own only.
 */
export async function startChromium({ args = [] }: ChromiumOptions = {}): Promise<Browser & AsyncDisposable> {
  return chromium.launch({ executablePath: chromiumPath(), args: [...flags, ...args], timeout: startTimeoutMs })
}

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--no-first-run']
