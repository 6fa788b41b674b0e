/** Creates a console of a server that is given by name or id. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import { BadRequest, Conflict, type Console, NotImplemented, type OrielError } from '@oriel/sdk'
import { Failure } from '../failure.ts'
import { plain } from '../output.ts'
import { findServer, type Server } from './servers.ts'
import type { Cloud } from './sign-in.ts'

/** A server and one of its consoles. */
export interface ServerConsole {
  readonly server: Server
  readonly console: Console
}

/** Finds the server and creates the console. @throws Failure */
export async function consoleOf(cloud: Cloud, wanted: string, type: OpenableConsoleType): Promise<ServerConsole> {
  const server = await findServer(cloud.client, wanted)
  return { server, console: await createConsole(cloud, server, type) }
}

/** Creates a console. @throws Failure if the server has no console of this type, or none at this moment */
export async function createConsole({ client }: Cloud, server: Server, type: OpenableConsoleType): Promise<Console> {
  try {
    return await client.createConsole(server.id, type)
  } catch (error) {
    if (error instanceof BadRequest || error instanceof NotImplemented) throw lacking(server, type, error)
    if (error instanceof Conflict) throw stopped(server, error)
    throw error
  }
}

function lacking({ name }: Server, type: OpenableConsoleType, cause: OrielError): Failure {
  const { label } = consoleTypes[type]
  const say = `${plain(name)} has no console of type ${type} (${label}): ${cause.message.replace(/\.$/, '')}.`
  return new Failure('failed', `${say} \`oriel servers --consoles\` lists the types that it has.`, { cause })
}

const stopped = ({ name, status }: Server, cause: OrielError) =>
  new Failure('failed', `${plain(name)} has no console now: it is ${status}. Start it and try again.`, { cause })
