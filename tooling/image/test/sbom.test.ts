import { expect, test } from 'vitest'
import { cycloneDx, debianComponent, nodeComponent, npmComponent, spdx } from '../src/sbom.ts'

const subject = { name: 'oriel-proxy', version: '0.1.0', created: '2026-11-29T00:00:00Z' }
const components = [
  npmComponent({ name: '@xterm/xterm', version: '6.0.0', license: 'MIT', notice: '' }),
  npmComponent({ name: 'both', version: '1.0.0', license: '(MIT OR Apache-2.0)', notice: '' }),
  debianComponent({ name: 'libstdc++6', version: '12.2.0-14+deb12u1', architecture: 'amd64' }, '12'),
  nodeComponent('24.21.0', 'ab'.repeat(32)),
]

test('names packages as scanners do', () => {
  expect(components.map(({ purl }) => purl)).toEqual([
    'pkg:npm/%40xterm/xterm@6.0.0',
    'pkg:npm/both@1.0.0',
    'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
    'pkg:generic/node@24.21.0',
  ])
})

test('CycloneDX has every component once, its licence as an identifier or an expression', () => {
  const bill = JSON.parse(cycloneDx(subject, components))
  expect(bill).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    metadata: { timestamp: '2026-11-29T00:00:00Z', component: { name: 'oriel-proxy', version: '0.1.0' } },
  })
  const byName = Object.fromEntries(bill.components.map((entry: { name: string }) => [entry.name, entry]))
  expect(byName['@xterm/xterm'].licenses).toEqual([{ license: { id: 'MIT' } }])
  expect(byName.both.licenses).toEqual([{ expression: '(MIT OR Apache-2.0)' }])
  expect(byName['libstdc++6']).not.toHaveProperty('licenses')
  expect(byName.node.hashes).toEqual([{ alg: 'SHA-256', content: 'ab'.repeat(32) }])
  const refs = bill.components.map((entry: { 'bom-ref': string }) => entry['bom-ref'])
  expect(bill.dependencies).toEqual([{ ref: 'oriel-proxy', dependsOn: refs }])
})

test('SPDX relates every package to the product, under identifiers that the format allows', () => {
  const bill = JSON.parse(spdx(subject, components))
  const ids = bill.packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID)
  expect(ids).toHaveLength(components.length + 1)
  for (const id of ids) expect(id).toMatch(/^SPDXRef-[a-zA-Z0-9.-]+$/)
  const contained = bill.relationships.filter(({ relationshipType }: Relationship) => relationshipType === 'CONTAINS')
  expect(contained.map(({ relatedSpdxElement }: Relationship) => relatedSpdxElement)).toEqual(ids.slice(1))
  expect(bill.packages.at(-1).externalRefs).toContainEqual({
    referenceCategory: 'PACKAGE-MANAGER',
    referenceType: 'purl',
    referenceLocator: 'pkg:npm/both@1.0.0',
  })
})

interface Relationship {
  readonly relationshipType: string
  readonly relatedSpdxElement: string
}

test.each([
  ['CycloneDX', cycloneDx, 'serialNumber'],
  ['SPDX', spdx, 'documentNamespace'],
] as const)(
  '%s is the same in any order of components, and another document has another identifier',
  (_, write, key) => {
    const id = (text: string) => JSON.parse(text)[key]
    expect(write(subject, components.toReversed())).toBe(write(subject, components))
    expect(id(write(subject, components))).toMatch(
      /^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/,
    )
    expect(id(write({ ...subject, version: '0.1.1' }, components))).not.toBe(id(write(subject, components)))
    expect(id(write(subject, components.slice(1)))).not.toBe(id(write(subject, components)))
  },
)
