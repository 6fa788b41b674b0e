/** Creates a console of a server that is given by name or id. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import { BadRequest, Conflict, type Console, consolePage, NotFound, NotImplemented, type OrielError } from '@oriel/sdk'
import { Failure } from '../failure.ts'
import { echoed, say } from '../output.ts'
import { findServer, type Server } from './servers.ts'
import type { Cloud } from './sign-in.ts'

/** A server and one of its consoles. */
export interface ServerConsole {
  readonly server: Server
  readonly console: Console
}

/** Finds the server and creates the console, whose page has the server's name as its title. @throws Failure */
export async function consoleOf(cloud: Cloud, wanted: string, type: OpenableConsoleType): Promise<ServerConsole> {
  const server = await findServer(cloud.client, wanted)
  const console = await createConsole(cloud, server, type)
  const pageUrl = consolePage(console.pageUrl, type, { title: server.name }) ?? console.pageUrl
  return { server, console: { ...console, pageUrl } }
}

/** Creates a console. @throws Failure if the server has no console of this type, or none at this moment */
export async function createConsole({ client }: Cloud, server: Server, type: OpenableConsoleType): Promise<Console> {
  return explained(server, type, client.createConsole(server.id, type))
}

/** `control`: the viewer's input reaches the machine. `watch`: the proxy drops it. */
export type Role = 'control' | 'watch'

/**
 * Returns an object that creates the consoles of a server for `@oriel/console`. The failure of the first one names the server,
 * and says which command helps. Those of later ones stay as they are: `@oriel/console` tries again while a machine restarts.
 */
export function creatorOf(cloud: Cloud, server: Server, type: WatchableType, role: Role = 'control') {
  const create = () =>
    role === 'watch' ? watchConsole(cloud, server, type) : cloud.client.createConsole(server.id, type)
  let isFirst = true
  const createConsole = () => {
    const created = isFirst ? explained(server, type, create()) : create()
    isFirst = false
    return created
  }
  return { createConsole } as never
}

type WatchableType = 'novnc' | 'serial'

/** Creates a console whose input the proxy drops. With an API that has none, such as Nova's, it is a usual one. */
async function watchConsole({ client }: Cloud, server: Server, type: WatchableType): Promise<{ url: string }> {
  try {
    return (await client.oriel.createConsole({ server_id: server.id, body: { type, role: 'watch' } })).console
  } catch (error) {
    if (!(error instanceof NotFound)) throw error
    say(`the API has no consoles whose input is dropped; that of ${echoed(server.name)} is a usual one`)
    return client.createConsole(server.id, type)
  }
}

async function explained<T>(server: Server, type: OpenableConsoleType, created: Promise<T>): Promise<T> {
  try {
    return await created
  } catch (error) {
    if (error instanceof BadRequest || error instanceof NotImplemented) throw lacking(server, type, error)
    if (error instanceof Conflict) throw stopped(server, error)
    throw error
  }
}

function lacking({ name }: Server, type: OpenableConsoleType, cause: OrielError): Failure {
  const { label } = consoleTypes[type]
  const say = `${echoed(name)} has no console of type ${type} (${label}): ${cause.message.replace(/\.$/, '')}.`
  return new Failure('failed', `${say} \`oriel servers --consoles\` lists the types that it has.`, { cause })
}

const stopped = ({ name, status }: Server, cause: OrielError) =>
  new Failure('failed', `${echoed(name)} has no console now: it is ${status}. Start it and try again.`, { cause })
