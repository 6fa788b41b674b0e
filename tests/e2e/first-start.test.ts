/** `npm start` for a new user: nothing is installed or built, and the home folder is empty. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, requirement, requires, startProgram, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { describe, expect, it } from 'vitest'
import { canvasOf, openConsole, untilPicture } from './parts/page.ts'
import { differs, isDrawn } from './parts/pictures.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const browser = requires('chromium')
const registry = requirement('the npm registry', await answers(), 'connect this machine, or set npm_config_registry')

describe.skipIf(browser.skip || registry.skip)(`npm start in a fresh clone${browser.reason}${registry.reason}`, () => {
  it('installs, builds, and opens a console that accepts keys', { timeout: 300_000 }, async () => {
    await using scope = new AsyncDisposableStack()
    const [clone, home] = [scope.use(await temporaryFolder()), scope.use(await temporaryFolder())]
    await copyCheckout(clone.path)
    const [apiPort, proxyPort] = [await freePort(), await freePort()]
    const env = {
      ...{ HOME: home.path, PATH: pathWithoutThisWorkspace(), NODE_OPTIONS: undefined },
      ORIEL_API__LISTEN: `127.0.0.1:${apiPort}`,
      ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    }
    const oriel = scope.use(await startProgram({ command: 'npm', args: ['start'], cwd: clone.path, env }))
    const { msg } = await oriel.waitForLog((record) => String(record.msg).startsWith('open '), { timeoutMs: 240_000 })
    expect(msg).toBe(`open http://127.0.0.1:${proxyPort}/`)

    const chromium = scope.use(await startChromium())
    const page = await chromium.newPage()
    await page.goto(String(msg).slice('open '.length))
    const console = await openConsole(page, 'Screen of demo')
    const before = await untilPicture(console, isDrawn)
    await canvasOf(console).click()
    await console.keyboard.type('oriel')
    await untilPicture(console, (picture) => differs(picture, before))
    expect((await oriel.stop({ timeoutMs: 30_000 })).code).toBe(0)
  })
})

/** Copies the working tree, without ignored files. */
async function copyCheckout(folder: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  for (const name of stdout.split('\0').filter((file) => file && existsSync(join(ROOT, file)))) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await copyFile(join(ROOT, name), join(folder, name))
  }
}

/** Returns the PATH without the programs of this workspace. */
const pathWithoutThisWorkspace = () =>
  (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':')

async function answers(): Promise<boolean> {
  // Retries, because a lost packet does not mean that the registry is unreachable.
  const args = ['ping', '--fetch-retries=3', '--fetch-retry-mintimeout=1000', '--fetch-timeout=20000']
  return run('npm', args).then(
    () => true,
    () => false,
  )
}
