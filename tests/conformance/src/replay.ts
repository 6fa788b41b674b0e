/** Replays recordings: sets up what each needs, sends its request, and compares the answer. */
import { join } from 'node:path'
import { SourceError } from '@oriel/api'
import { accessUrl, consoleTypes, isConsoleType, tokenOf } from '@oriel/contract'
import { recordedMicroversions, temporaryFolder } from '@oriel/testkit'
import { serverOf } from './answers.ts'
import { compare } from './compare.ts'
import { type Decision, decide } from './decisions.ts'
import { type Answer, exchange } from './exchange.ts'
import { expectationOf } from './expectation.ts'
import { type Facts, factsOf } from './facts.ts'
import { startInProcessSubject } from './in-process-subject.ts'
import { fill, type Values } from './placeholders.ts'
import { startProgramSubject } from './program-subject.ts'
import { settings, settingsKey } from './settings.ts'
import type { Controls, Subject } from './subject.ts'
import type { Setup, TokenSetup, Vector, VectorRequest } from './vectors.ts'
import { expired, personas, type WorldServer, worldServer } from './world.ts'

export interface Outcome {
  readonly vector: Vector
  readonly verdict: 'match' | 'differ' | 'fail'
  /** The decisions that say what Oriel answers in Nova's place. */
  readonly rows: readonly Decision[]
  /** In what the answer is not as it must be. */
  readonly faults: readonly string[]
}

export interface Replayer extends AsyncDisposable {
  replay(vector: Vector): Promise<Outcome>
}

/** Replays any of `vectors`, one at a time. Recordings with equal options share an API, which starts when first needed. */
export async function createReplayer(vectors: readonly Vector[]): Promise<Replayer> {
  const scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const servers = everyServer(vectors)
  const subjects = new Map<string, Subject>()
  const start = async (facts: Facts, key: string) => {
    const { setup } = facts.vector
    const place = join(folder.path, String(subjects.size))
    const starting = needsControls(facts)
      ? startInProcessSubject(setup, servers)
      : startProgramSubject(setup, servers.filter(isStatic), place)
    const subject = scope.use(await starting)
    subjects.set(key, subject)
    return subject
  }
  return {
    async replay(vector) {
      const facts = factsOf(vector)
      const key = `${needsControls(facts)} ${settingsKey(vector.setup)}`
      return replayOn(subjects.get(key) ?? (await start(facts, key)), facts)
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

function everyServer(vectors: readonly Vector[]): readonly WorldServer[] {
  const states = new Set(vectors.map(({ setup }) => setup.server ?? 'active'))
  return [...states.add('active')].map(worldServer)
}

const isStatic = ({ raises }: WorldServer) => raises === undefined

/**
 * What only an API inside this process can be made to do; everything else is the real program's. Tokens are among it:
 * some have an age or facts that no request gives them, and the virtualisation driver of the recordings has an internal
 * access path for every console, a file only for MKS.
 */
const needsControls = (facts: Facts) =>
  facts.vector.setup.token !== undefined ||
  facts.vector.setup.patch !== undefined ||
  serverOf(facts).raises !== undefined

async function replayOn(subject: Subject, facts: Facts): Promise<Outcome> {
  await using scope = new AsyncDisposableStack()
  const values = await prepare(subject, facts, scope)
  const request = filled(facts.vector.request, values)
  let answer = await exchange(subject.address, request)
  for (let count = facts.vector.setup.repeat ?? 1; count > 1; count--) answer = await exchange(subject.address, request)
  return judge(answer, facts, values)
}

/** The recording's own answer counts, and what the same Nova answered behind another HTTP server. */
function judge(answer: Answer, facts: Facts, values: Values): Outcome {
  const { vector } = facts
  const outcomes = [vector.response, ...(vector.also_seen ?? [])].map((response): Outcome => {
    const { expected, rows } = decide(expectationOf(response), facts)
    const faults = compare(answer, expected, values)
    return { vector, rows, faults, verdict: faults.length > 0 ? 'fail' : rows.length > 0 ? 'differ' : 'match' }
  })
  return outcomes.find(({ verdict }) => verdict !== 'fail') ?? outcomes[0]!
}

/** Everything that has to be true before the request, and the values of the recording's placeholders. */
async function prepare(subject: Subject, facts: Facts, scope: AsyncDisposableStack): Promise<Values> {
  const { setup } = facts.vector
  const token = setup.token ? await makeToken(subject, facts, setup.token) : undefined
  if (setup.patch) patch(subject.controls!, setup.patch, scope)
  return new Map([
    ['server_id', token?.serverId ?? serverOf(facts).id],
    ...(token ? ([['token', token.token]] as const) : []),
    ['url_base', `http://${subject.address}`],
    ['host', subject.address],
    ...[...personas, expired].map((persona) => [`auth:${persona.name}`, persona.token] as const),
  ])
}

/** How the driver fails when the call to compute times out, or compute has lost the server. */
const driverErrors = {
  rpc_timeout: new Error('MessagingTimeout: Timed out waiting for a reply'),
  instance_gone: new SourceError('InstanceNotFound'),
} as const

function patch(controls: Controls, name: NonNullable<Setup['patch']>, scope: AsyncDisposableStack): void {
  if (name === 'cells_fail') controls.storeFails(true)
  else controls.driverFails(driverErrors[name])
  scope.defer(() => {
    controls.storeFails(false)
    controls.driverFails(undefined)
  })
}

interface MadeToken {
  readonly serverId: string
  readonly token: string
}

async function makeToken(subject: Subject, facts: Facts, setup: TokenSetup): Promise<MadeToken> {
  const own = setup.then ? subject.controls!.privateServer() : undefined
  const serverId = own?.id ?? serverOf(facts).id
  const token = setup.make
    ? await putToken(subject.controls!, facts, serverId, setup.make)
    : await askForToken(subject, serverId, setup)
  if (setup.then === 'delete_server') own!.delete()
  if (setup.then === 'stop_server') own!.stop()
  return { serverId, token }
}

async function askForToken({ address }: Subject, serverId: string, { protocol, type }: TokenSetup): Promise<string> {
  const admin = personas.find(({ name }) => name === 'admin')!
  const answer = await exchange(address, {
    method: 'POST',
    path: `/v2.1/servers/${serverId}/remote-consoles`,
    headers: {
      'X-Auth-Token': admin.token,
      'OpenStack-API-Version': `compute ${recordedMicroversions.max}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ remote_console: { protocol, type } }),
  })
  const token = answer.status === 200 ? tokenOf(JSON.parse(answer.body.toString()).remote_console.url) : undefined
  if (token === undefined) throw new Error(`No console token: ${answer.status} ${answer.body}`)
  return token
}

function putToken(controls: Controls, facts: Facts, serverId: string, make: NonNullable<TokenSetup['make']>) {
  const type = make.console_type as keyof typeof consoleTypes
  const protocol = isConsoleType(type) ? consoleTypes[type].protocol : 'vnc'
  return controls.authorize({
    serverId,
    projectId: serverOf(facts).projectId,
    userId: 'somebody',
    protocol,
    type,
    host: make.host ?? 'fakehost',
    port: make.port ?? 6969,
    tlsPort: make.tls_port ?? null,
    internalAccessPath: make.path === undefined ? 'FAKE' : make.path,
    accessUrlBase: settings(facts.vector.setup).consoles[type]?.base_url ?? accessUrl('serial', 'ws://h/', ''),
    ttlSeconds: make.ttl ?? 600,
  })
}

function filled(request: VectorRequest, values: Values): VectorRequest {
  const headers = Object.entries(request.headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((one: string) => fill(one, values)) : fill(value as string, values),
  ])
  return {
    ...request,
    path: fill(request.path, values),
    headers: Object.fromEntries(headers),
    body: request.body === null ? null : fill(request.body, values),
  }
}
