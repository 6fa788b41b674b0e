import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describedValues, readmeFile, readmeWithTable } from '../src/values-table.ts'
import { chart } from './parts/helm.ts'

interface Schema {
  readonly $ref?: string
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
}

const schema = JSON.parse(readFileSync(`${chart}/values.schema.json`, 'utf8'))

it('the README of the chart has the values of values.yaml; npm run docs writes them', () => {
  expect(readmeWithTable()).toBe(readFileSync(readmeFile, 'utf8'))
})

it('describes each value that values.schema.json allows, and no other', () => {
  const described = describedValues().map(({ path }) => path.join('.'))
  expect(described.toSorted()).toEqual(leavesOf(schema, []).toSorted())
})

/** The values below which the schema lists no keys of its own: these are Kubernetes', or Oriel's configuration. */
function leavesOf(node: Schema, path: readonly string[]): string[] {
  const { properties, additionalProperties } = node.$ref === undefined ? node : definition(node.$ref)
  if (properties === undefined || additionalProperties !== false) return path[0] === 'global' ? [] : [path.join('.')]
  return Object.entries(properties).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
}

const definition = (reference: string): Schema => schema.$defs[reference.replace('#/$defs/', '')]
