/**
 * Reads the Containerfile, so that the images built without a container engine are those that an engine builds.
 * @see https://docs.docker.com/reference/dockerfile/ for the instructions; only those that our file uses are supported
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md for the configuration of an image
 */

/** The configuration of an image, with the names of the OCI image specification. */
export interface ImageConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
  /** An extension of Docker, in nanoseconds, which Podman reads too. */
  readonly Healthcheck?: Readonly<Record<string, unknown>>
}

export interface Stage {
  readonly name: string
  /** The folders that become layers, lowest first. */
  readonly copies: readonly string[]
  readonly config: ImageConfig
}

type Variables = Readonly<Record<string, string>>

/** Returns the stages by name. @throws Error with the line that is not supported */
export function parseContainerfile(text: string, args: Variables): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>([['scratch', { name: 'scratch', copies: [], config: {} }]])
  let stage: Stage | undefined
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    stage = word === 'FROM' ? baseOf(rest, stages) : after(stage, word, rest, args)
    if (!stage) throw new Error(`Containerfile: not supported by npm run image: ${line}`)
    stages.set(stage.name, stage)
  }
  return stages
}

function baseOf(rest: string, stages: ReadonlyMap<string, Stage>): Stage | undefined {
  const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? []
  const base = stages.get(from)
  return base && { ...base, name }
}

function after(stage: Stage | undefined, word: string, rest: string, args: Variables): Stage | undefined {
  if (!stage || word === 'ARG') return stage
  const folder = word === 'COPY' && /^([\w-]+)\/ \/$/.exec(rest)?.[1]
  if (folder) return { ...stage, copies: [...stage.copies, folder] }
  const change = instructions[word]?.(rest, stage.config, args)
  return change && { ...stage, config: { ...stage.config, ...change } }
}

type Instruction = (rest: string, config: ImageConfig, args: Variables) => ImageConfig

const instructions: Readonly<Record<string, Instruction>> = {
  USER: (User) => ({ User }),
  WORKDIR: (WorkingDir) => ({ WorkingDir }),
  STOPSIGNAL: (StopSignal) => ({ StopSignal }),
  ENTRYPOINT: (rest) => ({ Entrypoint: JSON.parse(rest) }),
  CMD: (rest) => ({ Cmd: JSON.parse(rest) }),
  ENV: (rest, { Env = [] }, args) => ({ Env: [...Env, ...pairs(rest, args).map((pair) => pair.join('='))] }),
  LABEL: (rest, { Labels = {} }, args) => ({ Labels: { ...Labels, ...Object.fromEntries(pairs(rest, args)) } }),
  EXPOSE: (rest) => ({ ExposedPorts: Object.fromEntries(rest.split(' ').map((port) => [`${port}/tcp`, {}])) }),
  HEALTHCHECK: (rest) => ({ Healthcheck: healthcheck(rest) }),
}

/** Splits `a=b c="d e"` and replaces `$NAME`. */
function pairs(rest: string, args: Variables): [string, string][] {
  return [...rest.matchAll(/([\w.]+)=("[^"]*"|\S+)/g)].map(([, key, value]) => [key!, substituted(value!, args)])
}

function substituted(value: string, args: Variables): string {
  return value.replace(/^"(.*)"$/, '$1').replace(/\$(\w+)/g, (_, name: string) => {
    if (args[name] !== undefined) return args[name]
    throw new Error(`Containerfile: no value for $${name}`)
  })
}

const NANOSECONDS = 1e9

function healthcheck(rest: string): Record<string, unknown> {
  const [options = '', command = ''] = rest.split(' CMD ')
  const spans = [...options.matchAll(/--([a-z-]+)=(\d+)s/g)].map(([, name, seconds]) => [
    name!.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    Number(seconds) * NANOSECONDS,
  ])
  return { Test: ['CMD', ...JSON.parse(command)], ...Object.fromEntries(spans) }
}
