/** The output of the built programs when a listen address is in use. */
import { createServer } from 'node:net'
import { listenOn } from '@oriel/runtime'
import { startProgram } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { programFile } from './parts/oriel.ts'

/** Listens on a port, so that it is in use. */
async function taken() {
  const server = createServer()
  return {
    address: await listenOn(server, { host: '127.0.0.1', port: 0 }),
    [Symbol.dispose]: () => void server.close(),
  }
}

const FREE = {
  ORIEL_API__LISTEN: '127.0.0.1:0',
  ORIEL_PROXY__LISTEN__0__ADDRESS: '127.0.0.1:0',
  ORIEL_PROXY__ADMIN__LISTEN: '127.0.0.1:0',
}

describe('oriel --demo with a listen address that is in use', () => {
  it.each([
    ['api.listen', 'ORIEL_API__LISTEN'],
    ['proxy.listen[0].address', 'ORIEL_PROXY__LISTEN__0__ADDRESS'],
    ['proxy.admin.listen', 'ORIEL_PROXY__ADMIN__LISTEN'],
  ])('exits with 1 and one sentence that names %s', async (key, variable) => {
    using port = await taken()
    const env = { ...FREE, [variable]: port.address, npm_lifecycle_event: 'start' }
    await using oriel = await startProgram({ file: programFile('oriel'), args: ['--demo'], env })
    expect(await oriel.exited).toEqual({ code: 1, signal: null })
    const remedy = `stop it, or try ${variable}=127.0.0.1:0 npm start`
    expect(oriel.stderr).toBe(
      `oriel: ${key}: cannot listen on ${port.address}: another program uses this port; ${remedy}\n`,
    )
  })

  it('logs a stack trace that names the source files', async () => {
    using port = await taken()
    const env = { ...FREE, ORIEL_API__LISTEN: port.address }
    await using oriel = await startProgram({ file: programFile('oriel'), args: ['--demo'], env })
    await oriel.exited
    const { err } = oriel.records.find(({ level }) => level === 'fatal') as { err: { stack: string } }
    expect(err.stack).toMatch(/packages\/runtime\/src\/listen-on\.ts:\d+/)
    expect(err.stack).not.toContain('program.js')
  })
})
