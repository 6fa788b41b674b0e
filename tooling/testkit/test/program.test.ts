import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startProgram, temporaryFolder } from '../src/index.ts'

const listening = `
  process.on('SIGTERM', () => process.exit(3))
  console.log('plain')
  console.error('oops')
  console.log(JSON.stringify({ msg: 'listening', port: 1, greeting: process.env.GREETING }))
  setInterval(() => {}, 1000)
`

test('startProgram starts a program, reads its log and stops it', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'program.mjs')
  await writeFile(file, listening)
  await using program = await startProgram({ file, env: { GREETING: 'hello' } })
  const record = await program.waitForLog(({ msg }) => msg === 'listening')
  expect(record).toEqual({ msg: 'listening', port: 1, greeting: 'hello' })
  expect(await program.stop()).toEqual({ code: 3, signal: null })
  expect(await program.exited).toEqual({ code: 3, signal: null })
  expect(program.otherLines).toEqual(['plain'])
  expect(program.stderr).toBe('oops\n')
})

test('disposing a program stops it', async () => {
  const program = await startProgram({ command: 'sleep', args: ['60'] })
  await program[Symbol.asyncDispose]()
  expect(await program.exited).toEqual({ code: null, signal: 'SIGTERM' })
})

test('a program that ignores SIGTERM is killed', async () => {
  const script = `process.on('SIGTERM', () => {}); console.log('{"msg":"deaf"}'); setInterval(() => {}, 1000)`
  await using program = await startProgram({ command: process.execPath, args: ['-e', script] })
  await program.waitForLog(({ msg }) => msg === 'deaf')
  expect(await program.stop({ timeoutMs: 50 })).toEqual({ code: null, signal: 'SIGKILL' })
})

test('waitForLog reports the program’s output if the program ends first', async () => {
  const script = `console.log('{"msg":"no port"}'); console.error('EADDRINUSE')`
  await using program = await startProgram({ command: process.execPath, args: ['-e', script] })
  const wait = program.waitForLog(({ msg }) => msg === 'listening')
  await expect(wait).rejects.toThrow(/The program ended first[\s\S]*no port[\s\S]*EADDRINUSE/)
})

test('waitForLog throws at its deadline', async () => {
  await using program = await startProgram({ command: 'sleep', args: ['60'] })
  await expect(program.waitForLog(() => true, { timeoutMs: 1 })).rejects.toThrow('After 1 ms: no such record')
})

test('startProgram throws for a program that does not exist', async () => {
  await expect(startProgram({ command: 'no-such-program-here' })).rejects.toThrow('ENOENT')
  await expect(startProgram({})).rejects.toThrow(TypeError)
})

test('disposing a temporary folder deletes it with its content', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder.path, 'file'), '')
  await folder[Symbol.asyncDispose]()
  expect(existsSync(folder.path)).toBe(false)
})
