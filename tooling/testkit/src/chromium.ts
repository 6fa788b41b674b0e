/** Starts a real browser for tests, each time with an empty profile. */
import { type Browser, chromium } from 'playwright-core'
import { chromiumPath } from './requirements.ts'

export { hasChromium } from './requirements.ts'

/** Deadline for Chromium's start, which is slow beside emulated guests. */
const startTimeoutMs = 60_000

export interface ChromiumOptions {
  /** More command line flags. */
  readonly args?: readonly string[]
}

/**
 * Starts a headless Chromium: Debian's, or the one in `ORIEL_CHROMIUM`. Disposing stops it.
 *
 * Its sandbox is off, because tests often run as root in containers: load only trusted pages.
 */
export async function startChromium({ args = [] }: ChromiumOptions = {}): Promise<Browser & AsyncDisposable> {
  return chromium.launch({ executablePath: chromiumPath(), args: [...flags, ...args], timeout: startTimeoutMs })
}

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--no-first-run']
