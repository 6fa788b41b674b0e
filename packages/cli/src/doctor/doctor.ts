/** The checks of `oriel doctor`, in their order. */
import { consoleTypes, type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'
import type { ClientOptions } from '@oriel/sdk'
import type { Server } from '../cloud/servers.ts'
import type { Cloud } from '../cloud/sign-in.ts'
import { consoleFetch } from '../console/dial.ts'
import { checkClock } from './clock.ts'
import { checkAccessUrl } from './consoles/access-url.ts'
import { checkBrowserConsole } from './consoles/browser-console.ts'
import { checkConsoleFile } from './consoles/console-file.ts'
import { ConsoleCreator } from './consoles/create.ts'
import type { CloudFacts } from './consoles/settings.ts'
import { type Destination, hostOf, isLoopback, isTls } from './destination.ts'
import { askEndpoint, type ComputeApi } from './endpoint.ts'
import { type Examination, isApplicable, type Outcome } from './examination.ts'
import { reach, reachPort } from './network.ts'
import { NotApplicable, Problem } from './problem.ts'
import { checkServers, chooseServer, firstServers } from './server.ts'
import { type SignedIn, signInAtApi, signInAtKeystone } from './sign-in.ts'

/** The source of an endpoint that Keystone names. */
export const CATALOGUE = 'the catalogue'

/** The cloud to examine, and the options of the command. */
export interface Subject {
  readonly settings: ClientOptions
  readonly cloud: Cloud
  /** The option, the variable or the file that has the endpoint. */
  readonly source: string
  /** The name or id of the server. Default: one that runs. */
  readonly server: string | undefined
  /** The only type of console. Default: all that the server has. */
  readonly type: OpenableConsoleType | undefined
  readonly idleMs: number | undefined
}

/** The facts for the summary. */
export interface Diagnosis {
  readonly endpoint: string | undefined
  readonly server: Server | undefined
  readonly consoles: number
}

/** Examines everything between this machine and the consoles of a server. */
export async function examine(exam: Examination, subject: Subject): Promise<Diagnosis> {
  const endpoint = await checkEndpoint(exam, subject)
  const api = await checkApi(exam, subject, endpoint)
  const signedIn = await checkSignIn(exam, subject, api)
  const server = await checkServer(exam, subject, signedIn)
  const { value: url } = endpoint
  const found = { endpoint: url?.href, server: server.value }
  if (url === undefined || server.value === undefined) return { ...found, consoles: 0 }
  const facts = { isOriel: signedIn.value!.isOriel, isLocal: isLoopback(hostOf(url)), isTls: isTls(url) }
  return { ...found, consoles: await checkConsoles(exam, subject, server.value, facts) }
}

/** Finds the endpoint: in the settings, or in the catalogue of Keystone. */
async function checkEndpoint(exam: Examination, { settings, source }: Subject): Promise<Outcome<URL>> {
  const { auth, endpoint: given } = settings
  if (auth?.endpoint === undefined) {
    return exam.check('settings', [], async () => ({ value: new URL(given!), detail: `${source}: ${given}` }))
  }
  const signedIn = await exam.check('identity', [], () => signInAtKeystone(auth, given, exam.signal))
  return { blockedBy: signedIn.blockedBy, value: signedIn.value === undefined ? undefined : new URL(signedIn.value) }
}

async function checkApi(exam: Examination, subject: Subject, endpoint: Outcome<URL>): Promise<Outcome<ComputeApi>> {
  const { cloud, source } = subject
  const { signal } = exam
  const to = (url: URL): Destination => {
    const listens = 'Start the compute API, such as `systemctl start oriel-api`'
    const addressSide = source === CATALOGUE ? 'identity service' : 'client'
    return { url, side: 'compute API', setting: source, addressSide, listens }
  }
  const reached = await exam.checkIfApplicable('network', [endpoint], async (url) => {
    if (usesHttpProxy()) throw new NotApplicable('requests go through the HTTP proxy of the environment')
    const { address, port } = await reachPort(to(url), { timeoutMs: cloud.timeoutMs, signal })
    return {
      value: undefined,
      detail: `${hostOf(url)} ${hostOf(url) === address ? '' : `is ${address}, `}port ${port} is open`,
    }
  })
  const api = await exam.check('api', [endpoint, reached], (url) => askEndpoint(to(url), cloud, signal))
  await exam.checkIfApplicable('clock', [api], async ({ skewMs }) =>
    checkClock('the compute API', 'compute API', skewMs),
  )
  return api
}

/** Node's `fetch` then connects to the proxy, and not to the endpoint. */
const usesHttpProxy = (): boolean =>
  process.env.NODE_USE_ENV_PROXY === '1' && Boolean(process.env.HTTPS_PROXY || process.env.HTTP_PROXY)

async function checkSignIn(exam: Examination, subject: Subject, api: Outcome<ComputeApi>): Promise<Outcome<SignedIn>> {
  const { cloud, settings } = subject
  const { signal } = exam
  const version = await exam.check('microversion', [api], async () => {
    const { microversion } = await cloud.client.negotiate({ signal })
    return { value: microversion, detail: `this command uses ${microversion}` }
  })
  return exam.check('sign-in', [version], () =>
    signInAtApi(cloud.client, settings.auth, () => firstServers(cloud.client, signal), signal),
  )
}

async function checkServer(exam: Examination, subject: Subject, signedIn: Outcome<SignedIn>): Promise<Outcome<Server>> {
  const servers = await exam.check('servers', [signedIn], async ({ servers }) => checkServers(servers))
  return exam.check('server', [servers], (all) => chooseServer(subject.cloud.client, all, subject.server))
}

/** Checks each type of console, and returns how many consoles were created. */
async function checkConsoles(exam: Examination, subject: Subject, server: Server, facts: CloudFacts): Promise<number> {
  const creator = new ConsoleCreator(subject.cloud.client, server, facts, exam)
  const types = subject.type === undefined ? openableConsoleTypes : [subject.type]
  const clocks = new Set<string>()
  let hasAny = false
  for (const type of types) hasAny = (await checkType(exam, subject, { type, creator, facts, clocks })) || hasAny
  if (!hasAny) {
    await exam.check('consoles', [], async () => {
      const remedy = facts.isOriel
        ? 'Enable a type, such as consoles.novnc.enabled = true in api.toml.'
        : 'Enable a type, such as [vnc] enabled = true in nova.conf of the compute nodes.'
      throw new Problem('the server has no console of any type', { side: facts.isOriel ? 'oriel-api' : 'Nova', remedy })
    })
  }
  return creator.count
}

interface TypeSubject {
  readonly type: OpenableConsoleType
  readonly creator: ConsoleCreator
  readonly facts: CloudFacts
  /** The hosts of the proxies whose clocks have been checked. */
  readonly clocks: Set<string>
}

/** Returns whether the server has this type, as far as its checks can tell. */
async function checkType(exam: Examination, subject: Subject, { type, creator, facts, clocks }: TypeSubject) {
  const { cloud, idleMs } = subject
  const created = await exam.checkIfApplicable(`${type} create`, [], () =>
    creator.check(type, subject.type !== undefined),
  )
  if (!isApplicable(created)) return false
  const address = await exam.check(`${type} address`, [created], async (console) =>
    checkAccessUrl(type, console, facts),
  )
  const network = await exam.check(`${type} network`, [address], (to) => reach(to, cloud, exam.signal))
  const destination = { value: address.value, blockedBy: network.blockedBy }
  const console = { type, cloud: { ...cloud, fetch: consoleFetch(cloud) }, creator, facts, idleMs }
  if (consoleTypes[type].page === null) {
    await checkConsoleFile(exam, console, created, destination)
  } else {
    const page = await checkBrowserConsole(exam, console, created, destination)
    const { hostname } = address.value?.url ?? {}
    if (page.value?.by !== 'oriel' || hostname === undefined || clocks.has(hostname)) return true
    clocks.add(hostname)
    const { skewMs } = page.value
    await exam.checkIfApplicable(`${type} clock`, [], async () =>
      checkClock('the console proxy', 'oriel-proxy', skewMs),
    )
  }
  return true
}
