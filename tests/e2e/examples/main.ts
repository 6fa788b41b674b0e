/**
 * Drives the example apps in Chromium against the demo of Oriel: each page behind one of the servers. Exits with 1 at the first fault.
 *
 *     node --conditions=@oriel/source tests/e2e/examples/main.ts FOLDER
 *
 * FOLDER has a copy of each example, with its packages installed and the pages built; `npm run consumers` makes it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient, noAuth } from '@oriel/sdk'
import { freePort, requires, startProgram, temporaryFolder } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import type { Page } from 'playwright-core'
import { programFile } from '../parts/oriel.ts'
import { canvasOf, complaintsOf, untilPicture } from '../parts/page.ts'
import { differs, isDrawn } from '../parts/pictures.ts'

/** The machine that the demo draws, without a hypervisor. */
const MACHINE = '5b6f2c7e-90a4-4c0e-8a57-6d1f7f1f0001'
const pairs = [
  { page: 'html', server: 'hono/server.ts' },
  { page: 'react', server: 'express/server.js' },
] as const

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Name the folder of the examples.')
const { skip, reason } = requires('chromium')
if (skip) {
  process.stdout.write(`the examples were not driven${reason}\n`)
  process.exit()
}

await using parts = new AsyncDisposableStack()
const ports = { api: await freePort(), proxy: await freePort() }
await startDemo()
const endpoint = `http://127.0.0.1:${ports.api}/v2.1`
const client = createClient({ endpoint, auth: noAuth() })
const browser = parts.use(await startChromium())
for (const { page, server } of pairs) {
  await drive(await browser.newPage(), await startPortal(page, server))
  process.stdout.write(`examples: ${page} and ${server} open consoles\n`)
}

async function startDemo(): Promise<void> {
  const env = {
    ORIEL_API__LISTEN: `127.0.0.1:${ports.api}`,
    ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${ports.proxy}`,
    ORIEL_PROXY__ORIGIN__ALLOWED: '["127.0.0.1"]',
  }
  const { path: cwd } = parts.use(await temporaryFolder())
  const oriel = parts.use(await startProgram({ file: programFile('oriel'), args: ['--demo'], env, cwd }))
  await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
}

/** Starts an example's server with the built page of another one. Returns the address of the page. */
async function startPortal(page: string, server: string): Promise<string> {
  const env = {
    ...{ OS_AUTH_TYPE: 'none', OS_ENDPOINT: endpoint },
    ...{ MACHINES: MACHINE, PAGE: join(folder!, page, 'dist'), PORT: String(await freePort()) },
  }
  const file = join(folder!, server)
  const child = spawn(process.execPath, [file], {
    cwd: join(file, '..'),
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  parts.defer(() => stopped(child))
  const [line] = await once(createInterface(child.stdout), 'line')
  return String(line).replace(/^open (.*)<.*>$/, '$1')
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill()
  await once(child, 'exit')
}

/** Opens a console, presses keys in it, gets a new one for a revoked address, and is refused the console of another machine. */
async function drive(page: Page, address: string): Promise<void> {
  const complaints = complaintsOf(page)
  let created = 0
  page.on('response', (response) => {
    if (response.url().endsWith('/console') && response.ok()) created += 1
  })
  await page.goto(address + MACHINE)
  await untilConnected(page)
  await untilKeyArrives(page)

  await client.oriel.revokeTokens({ server_id: MACHINE })
  await page.getByRole('button', { name: 'New console' }).click()
  await untilConnected(page)
  await untilKeyArrives(page)
  if (created !== 2) throw new Error(`${created} consoles were created`)
  if (complaints.length > 0) throw new Error(complaints.join('\n'))

  await page.goto(`${address}${MACHINE.replace('1f0001', '1f0002')}`)
  await page.getByRole('status').getByText('A new console could not be created.').waitFor()
  await page.close()
}

async function untilConnected(page: Page): Promise<void> {
  await page.getByRole('status').getByText('connected', { exact: true }).waitFor()
}

async function untilKeyArrives(page: Page): Promise<void> {
  const before = await untilPicture(page, isDrawn)
  await canvasOf(page).click()
  await page.keyboard.type('oriel')
  await untilPicture(page, (picture) => differs(picture, before))
}
