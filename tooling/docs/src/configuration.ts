/**
 * Generates docs/configuration.md from the configuration schemas, so that no key is missing and no default is wrong.
 */
import { ApiConfig } from '@oriel/api'
import { proxyConfig } from '@oriel/proxy'
import { type Schema, typeOf } from './schema.ts'

/** One key of a configuration file. `[]` in the path stands for each element of a list. */
export interface Key {
  readonly path: string
  readonly type: string
  /** `yes`, or `with` and the optional table that requires the key, or empty. */
  readonly required: string
  readonly default: string
  readonly meaning: string
}

/** The keys of a file, or of one kind of a table. */
export interface KeyTable {
  /** The setting that selects the kind, such as `sources[].kind = "qemu"`; empty for the file's own keys. */
  readonly kind: string
  readonly keys: readonly Key[]
}

/** Returns the page. */
export function configurationPage(): string {
  return [
    INTRODUCTION,
    section('api.toml', 'For `oriel-api`; below `[api]` for `oriel`.', ApiConfig as unknown as Schema),
    section('proxy.toml', 'For `oriel-proxy`; below `[proxy]` for `oriel`.', proxyConfig as unknown as Schema),
  ].join('\n')
}

/** Returns every key of `schema`, including nested tables: the file's own keys, then those of each kind of a table. */
export function tablesOf(schema: Schema): readonly KeyTable[] {
  const kinds: KeyTable[] = []
  const keys = keysAt(schema, { path: '', required: 'yes', kinds })
  return [{ kind: '', keys }, ...kinds]
}

/** The current position in the schema. */
interface At {
  readonly path: string
  readonly required: string
  /** The kinds that were found so far. */
  readonly kinds: KeyTable[]
}

function keysAt(schema: Schema, at: At): readonly Key[] {
  const variants = (schema.anyOf ?? []).filter((variant) => variant.properties)
  const tag = tagOf(variants)
  if (tag) return [kindKey(tag, schema, variants, at)]
  const { path } = at
  const below = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
      keysAt(member, inside(at, path ? `${path}.${name}` : name, member, schema.required?.includes(name))),
    ),
    ...Object.values(schema.patternProperties ?? {}).flatMap((member) => keysAt(member, given(at, `${path}.*`))),
    ...(schema.items && isTable(schema.items) ? keysAt(schema.items, elements(schema, at)) : []),
    ...variants.flatMap((variant) => keysAt(variant, at)),
  ]
  return below.length > 0 ? below : [leaf(schema, at)]
}

/** Descends into a member. Keys that an optional member requires are marked as required with that member. */
function inside(at: At, path: string, member: Schema, needed = false): At {
  if (needed && member.default === undefined) return { ...at, path }
  return isTable(member) || member.items || member.patternProperties ? given(at, path) : { ...at, path, required: '' }
}

const given = (at: At, path: string): At => ({ ...at, path, required: `with \`${path}\`` })

const elements = ({ default: absent }: Schema, at: At): At =>
  absent === undefined ? { ...at, path: `${at.path}[]` } : given(at, `${at.path}[]`)

const isTable = ({ properties, anyOf }: Schema) =>
  properties !== undefined || (anyOf ?? []).some((member) => member.properties)

/** Returns the key whose value distinguishes the variants of a table, such as `kind`. */
function tagOf(variants: readonly Schema[]): string | undefined {
  const names = variants.length > 1 ? Object.keys(variants[0]!.properties!) : []
  return names.find((name) => variants.every(({ properties }) => properties![name]?.const !== undefined))
}

/** Returns the key that selects the kind, and collects the keys of each kind in a separate table. */
function kindKey(tag: string, whole: Schema, variants: readonly Schema[], at: At): Key {
  const path = `${at.path}.${tag}`
  for (const variant of variants) {
    const { [tag]: value, ...properties } = variant.properties!
    const keys = Object.keys(properties).length > 0 ? keysAt({ ...variant, properties }, kindAt(at)) : []
    if (keys.length > 0) at.kinds.push({ kind: `${path} = ${JSON.stringify(value!.const)}`, keys })
  }
  const type = variants.map(({ properties }) => typeOf(properties![tag]!)).join(' or ')
  const usual = (whole.default as Readonly<Record<string, unknown>> | undefined)?.[tag]
  const { description = '' } = variants[0]!.properties![tag]!
  return { ...leaf({ description, ...(usual === undefined ? {} : { default: usual }) }, { ...at, path }), type }
}

/** Marks the keys in a kind's table as required without a condition: the table applies only to this kind. */
const kindAt = (at: At): At => ({ ...at, required: 'yes' })

const leaf = (schema: Schema, { path, required }: At): Key => ({
  path,
  required: schema.default === undefined ? required : '',
  type: typeOf(schema),
  default: schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``,
  meaning: schema.description ?? '',
})

function section(title: string, introduction: string, schema: Schema): string {
  const [own, ...kinds] = tablesOf(schema)
  const below = kinds.map(({ kind, keys }) => `### ${title}: \`${kind}\`\n\n${rows(keys)}`)
  return [`## ${title}`, introduction, rows(own!.keys), ...below].join('\n\n').concat('\n')
}

function rows(keys: readonly Key[]): string {
  const lines = keys.map((key) =>
    ['', `\`${key.path}\``, cell(key.type), key.required, key.default, cell(key.meaning), ''].join(' | ').trim(),
  )
  return ['| key | value | required | default | meaning |', '| --- | --- | --- | --- | --- |', ...lines].join('\n')
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

const INTRODUCTION = `# Configuration

TOML. This page is made of the programs' own schemas by \`npm run docs\`.

- Every key can be set in the environment: \`ORIEL_\` and the path in upper case, two underscores between tables,
  \`ORIEL_TOKENS__TTL_SECONDS=60\`, \`ORIEL_LISTEN__0__ADDRESS=0.0.0.0:6080\`. The environment wins over the file.
- A key with \`_file\` at its end reads its value from that file: \`token_file = "/run/secrets/token"\`.
  It may be a pipe. A file of more than 16 MiB is a fault, whether it holds a value, PEM or the configuration itself.
- An unknown key is an error that names the nearest known one. \`--check-config\` prints every fault and exits 0 or 2.
  A warning, such as for a certificate that expires within 14 days, leaves it at 0; the start logs it.
- \`ORIEL_LOG_LEVEL\` is \`info\` unless set: \`trace\`, \`debug\`, \`info\`, \`warn\`, \`error\` or \`fatal\`.
- \`ORIEL_ENDPOINT\`, \`ORIEL_TOKEN\` and \`ORIEL_DEBUG\` belong to [the command \`oriel\`](cli.md) and set no key.
- *Required* says what has no default: \`yes\` always, \`with\` a table or list as soon as you write that one. The keys that
  only one \`kind\` or \`method\` has stand in a table of their own, below the others; \`yes\` there is for that kind.
- \`[]\` in a path stands for each element of a list, \`*\` for a name that you choose.
`
