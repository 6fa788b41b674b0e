/**
 * The microversion engine: schemas and routes with the span of microversions in which they exist, and `at`, which removes the
 * parts that do not exist at a microversion, from the value and from its type. No microversion is named in this file.
 *
 * A span is stored as `x-openstack: { min-ver, max-ver }`, the OpenAPI extension of OpenStack's own schemas.
 */
import * as Type from 'typebox'

type Count<N extends number, T extends number[] = []> = T['length'] extends N ? T : Count<N, [...T, T['length']]>
type Minor<V> = V extends `2.${infer N extends number}` ? N : never
type Lte<A, B> = Count<Minor<B>> extends [...Count<Minor<A>>, ...unknown[]] ? true : false

/** Every microversion from the first to `Max`, as a union of literals. */
export type UpTo<Max> =
  Count<Minor<Max>> extends infer N extends number[] ? `2.${Exclude<N[number] | Minor<Max>, 0>}` : never

const KEY = 'x-openstack'
type Span<Bound extends string, V> = { readonly [KEY]: { readonly [K in Bound]: V } }
/** Marks a node that was added in microversion `V`. */
export type Since<V> = Span<'min-ver', V>
/** Marks a node that was removed after microversion `V`. */
export type Until<V> = Span<'max-ver', V>

/** Whether `Node`, a schema or a route, exists at microversion `V`. */
export type Alive<Node, V> = false extends
  | (Node extends Since<infer A> ? Lte<A, V> : true)
  | (Node extends Until<infer B> ? Lte<V, B> : true)
  ? false
  : true

/** Schema `S` at `V`, without nodes outside their span. A union with one remaining member becomes that member. */
export type At<S, V> =
  S extends Type.TObject<infer P>
    ? Keep<S, Type.TObject<{ [K in keyof P as Alive<P[K], V> extends true ? K : never]: At<P[K], V> }>>
    : S extends Type.TUnion<infer M>
      ? Keep<S, One<Living<M, V>>>
      : S extends Type.TArray<infer I>
        ? Keep<S, At<I, V> extends infer T extends Type.TSchema ? Type.TArray<T> : never>
        : S
type Living<M, V> = M extends [infer H, ...infer R]
  ? [...(Alive<H, V> extends true ? [At<H, V>] : []), ...Living<R, V>]
  : []
type One<M> = M extends [infer S] ? S : M extends Type.TSchema[] ? Type.TUnion<M> : never
type Keep<S, T> = S extends Type.TOptional ? (T extends Type.TSchema ? Type.TOptional<T> : never) : T

/** The value type of schema `S` at microversion `V`. */
export type StaticAt<S, V> = At<S, V> extends infer T extends Type.TSchema ? Type.Static<T> : never

/** Whether `node`, a schema or a route, exists at microversion `v`. */
export function alive(node: object, v: string): boolean {
  const { 'min-ver': since, 'max-ver': until } = spanOf(node)
  return (since === undefined || minor(since) <= minor(v)) && (until === undefined || minor(v) <= minor(until))
}

/** Returns `schema` at microversion `v`. A schema without spans is returned with the same shape. */
export function at<S extends Type.TSchema, V extends string>(schema: S, v: V): At<S, V> {
  const living = livingPart(schema, v)
  return (Type.IsOptional(schema) ? Type.Optional(living) : living) as At<S, V>
}

/** Returns `since` and `until`, whose types reject microversions newer than `max`. */
export function spans<const Max extends string>(_max: Max) {
  return {
    since: <V extends UpTo<Max>, N extends object>(v: V, node: N) => mark(node, { 'min-ver': v }) as N & Since<V>,
    until: <V extends UpTo<Max>, N extends object>(v: V, node: N) => mark(node, { 'max-ver': v }) as N & Until<V>,
  }
}

function livingPart(schema: Type.TSchema, v: string): Type.TSchema {
  if (Type.IsObject(schema)) {
    const living = Object.entries(schema.properties).filter(([, member]) => alive(member, v))
    const properties = Object.fromEntries(living.map(([name, member]) => [name, at(member, v)]))
    return Type.Object(properties as Type.TProperties, Type.ObjectOptions(schema))
  }
  if (Type.IsUnion(schema)) {
    const living = schema.anyOf.filter((member) => alive(member, v)).map((member): Type.TSchema => at(member, v))
    return living.length === 1 ? living[0]! : Type.Union(living, Type.UnionOptions(schema))
  }
  if (Type.IsArray(schema)) return Type.Array(at(schema.items, v), Type.ArrayOptions(schema))
  return schema
}

// Copies property descriptors, because a spread would lose the hidden `~kind` by which TypeBox identifies schemas.
function mark(node: object, bound: object): object {
  const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(node))
  return Object.assign(copy, { [KEY]: { ...spanOf(node), ...bound } })
}

const spanOf = (node: object) => (node as { [KEY]?: { 'min-ver'?: string; 'max-ver'?: string } })[KEY] ?? {}

/** The part of a microversion after the dot, by which microversions are ordered. */
export const minor = (v: string) => Number(v.slice(v.indexOf('.') + 1))
