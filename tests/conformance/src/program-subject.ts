/** The real program, `oriel-api`, with a configuration file and a static source. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProgram } from '@oriel/testkit'
import { settingsFile } from './settings.ts'
import type { Subject } from './subject.ts'
import type { Setup } from './vectors.ts'
import type { WorldServer } from './world.ts'

/** The built program; `CONFORMANCE_PROGRAM` names another, such as one that runs from sources. */
const program =
  process.env.CONFORMANCE_PROGRAM ?? fileURLToPath(new URL('../../../apps/api/dist/main.js', import.meta.url))

/** Starts the program with the options of `setup` and these servers; files are written below `folder`. */
export async function startProgramSubject(
  setup: Setup,
  servers: readonly WorldServer[],
  folder: string,
): Promise<Subject> {
  if (!existsSync(program)) throw new Error(`${program} is missing: build the workspace first`)
  const config = await writeFiles(setup, servers, folder)
  const running = await startProgram({ file: program, args: ['--config', config], env: withoutOverrides() })
  try {
    const { address } = await running.waitForLog(({ msg }) => msg === 'listening')
    return {
      address: String(address).replace(/^https?:\/\//, ''),
      [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
    }
  } catch (error) {
    await running.stop()
    throw error
  }
}

async function writeFiles(setup: Setup, servers: readonly WorldServer[], folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const logFile = ({ state }: WorldServer) => join(folder, `${state}.log`)
  await Promise.all(servers.map((server) => writeFile(logFile(server), server.log)))
  const file = join(folder, 'api.toml')
  await writeFile(file, settingsFile(setup, `sqlite:${join(folder, 'tokens.db')}`, servers, logFile))
  return file
}

// Variables in the caller's environment would override the configuration.
const withoutOverrides = () =>
  Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('ORIEL_'))
      .map((name) => [name, undefined]),
  )
