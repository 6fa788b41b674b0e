/** A `virsh` that says what a test wants, from files that the test may change at any time. */
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FakeVirsh extends AsyncDisposable {
  readonly program: string
  /** The domains there are; states and reasons are libvirt's numbers. */
  domains(...domains: readonly FakeDomain[]): Promise<void>
  /** A line of the event listener. */
  event(line: string): Promise<void>
  /** From now on every call takes for ever; or answers again. */
  hang(on: boolean): Promise<void>
  /** From now on every call but the listener's fails with this message; or answers again. */
  fail(message: string | undefined): Promise<void>
  /** From now on `dumpxml` of this domain fails with this message. */
  failXml(uuid: string, message: string): Promise<void>
  /** From now on every call for this URI fails; or all are answered again. */
  away(uri: string | undefined): Promise<void>
  /** Every call so far: its arguments, one a line. */
  calls(): Promise<readonly string[]>
  /** The names of the environment's variables. */
  environment(): Promise<readonly string[]>
  /** The output of `list`, `domstats`, `dumpxml` (`UUID.xml`) or `dumpxml --security-info` (`UUID.secrets`). */
  print(file: string, text: string): Promise<void>
}

export interface FakeDomain {
  readonly uuid: string
  readonly name: string
  readonly runId?: number
  readonly state: number
  readonly reason?: number
  readonly xml?: string
}

export async function fakeVirsh(): Promise<FakeVirsh> {
  await using stack = new AsyncDisposableStack()
  const path = await mkdtemp(join(tmpdir(), 'virsh-'))
  // What a killed call had started may still write its last file.
  stack.defer(() => rm(path, { recursive: true, maxRetries: 10 }))
  const file = (name: string) => join(path, name)
  await writeFile(file('virsh'), script(path), { mode: 0o755 })
  for (const name of ['list', 'domstats', 'events', 'calls']) await writeFile(file(name), '')
  const rest = stack.move()
  // A call may come at any moment: it reads the file as it was or as it will be, and never an empty one.
  const put = async (name: string, text: string) => {
    await writeFile(file('next'), text)
    await rename(file('next'), file(name))
  }
  const toggle = (name: string, text: string | undefined) =>
    text === undefined ? rm(file(name), { force: true }) : put(name, text)
  return {
    program: file('virsh'),
    async domains(...domains) {
      for (const { uuid, xml } of domains) if (xml !== undefined) await put(`${uuid}.xml`, xml)
      await put('domstats', domains.map(statsOf).join(''))
      await put('list', domains.map(({ uuid, name, runId }) => `${uuid} ${runId ?? '-'} ${name}\n`).join(''))
    },
    event: (line) => appendFile(file('events'), `${line}\n`),
    hang: (on) => toggle('hang', on ? '' : undefined),
    fail: (message) => toggle('fail', message),
    failXml: (uuid, message) => put(`${uuid}.fail`, message),
    away: (uri) => toggle('away', uri),
    calls: async () => (await readFile(file('calls'), 'utf8')).split('\n').slice(0, -1),
    environment: async () => (await readFile(file('env'), 'utf8')).split('\n').map((line) => line.split('=')[0]!),
    print: put,
    [Symbol.asyncDispose]: async () => rest.disposeAsync(),
  }
}

const statsOf = ({ name, state, reason }: FakeDomain) =>
  `Domain: '${name}'\n  state.state=${state}\n${reason === undefined ? '' : `  state.reason=${reason}\n`}\n`

const script = (folder: string) => `#!/bin/sh
cd '${folder}'
printf '%s\\n' "$*" >> calls
env > env.$$; mv env.$$ env
uri=\${1#--connect=}
shift
while case "$1" in --*) true ;; *) false ;; esac; do shift; done
if [ "$1" = event ]; then exec tail -n +1 -f events; fi
if [ -e hang ]; then exec sleep 600; fi
if [ -e fail ]; then cat fail >&2; exit 1; fi
if [ -e away ] && [ "$uri" = "$(cat away)" ]; then echo 'error: failed to connect' >&2; exit 1; fi
case $1 in
  dumpxml) if [ -e "$3.fail" ]; then cat "$3.fail" >&2; exit 1; fi
    [ "$4" = --security-info ] && [ -e "$3.secrets" ] && exec cat "$3.secrets"
    [ -e "$3.xml" ] && exec cat "$3.xml"; echo "error: failed to get domain '$3'" >&2; exit 1 ;;
  *) exec cat "$1" ;;
esac
`

export const domainXmlOf = (uuid: string, devices: string, attributes = "type='qemu' id='1'") =>
  `<domain ${attributes}>\n  <name>web-1</name>\n  <uuid>${uuid}</uuid>\n  <devices>${devices}</devices>\n</domain>\n`
