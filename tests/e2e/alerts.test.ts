/** Prometheus accepts the alerts in deploy/, and they fire when they should. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requirement, startProgram } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { unpacked } from './parts/linux-files.ts'

const promtool = join(unpacked, 'usr/bin/promtool')
const { skip, reason } = requirement('promtool', existsSync(promtool), 'run tests/install-debian-packages')
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

describe.skipIf(skip)(`promtool${reason}`, () => {
  it.each([
    ['check', '../../deploy/prometheus-alerts.yaml'],
    ['test', 'fixtures/prometheus/alerts.test.yaml'],
  ])('%s rules passes for %s', async (verb, name) => {
    await using it = await startProgram({ command: promtool, args: [verb, 'rules', file(name)] })
    const exit = await it.exited
    expect([exit, it.otherLines.join('\n')]).toEqual([{ code: 0, signal: null }, expect.stringContaining('SUCCESS')])
  })
})
