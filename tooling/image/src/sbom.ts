/** SBOMs of an image or a program, as CycloneDX and SPDX. The same input gives the same bytes. */
import { createHash } from 'node:crypto'
import type { BundledPackage } from '@oriel/bundle/packages'
import type { DebianPackage } from './debian.ts'

/** The product whose parts are listed. */
export interface Subject {
  readonly name: string
  readonly version: string
  /** ISO 8601, whole seconds. */
  readonly created: string
}

/** A part of the product. */
export interface Component {
  readonly name: string
  readonly version: string
  /** @see https://github.com/package-url/purl-spec */
  readonly purl: string
  /** An SPDX expression. */
  readonly license?: string
  /** @see https://nvd.nist.gov/products/cpe */
  readonly cpe?: string
  readonly sha256?: string
}

export const npmComponent = ({ name, version, license }: BundledPackage): Component => ({
  ...{ name, version, purl: `pkg:npm/${name.replace('@', '%40')}@${version}` },
  ...(license === undefined ? {} : { license }),
})

/** @param release Debian's major version */
export const debianComponent = ({ name, version, architecture }: DebianPackage, release: string): Component => ({
  ...{ name, version },
  purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-${release}`,
})

/** @param sha256 of the program as it is shipped */
export const nodeComponent = (version: string, sha256: string): Component => ({
  ...{ name: 'node', version, purl: `pkg:generic/node@${version}`, license: 'MIT', sha256 },
  cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
})

const sorted = (components: readonly Component[]) => components.toSorted((a, b) => (a.purl < b.purl ? -1 : 1))

/** @see https://cyclonedx.org/docs/1.6/json/ */
export function cycloneDx(subject: Subject, components: readonly Component[]): string {
  const { name, version, created } = subject
  const parts = sorted(components)
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${identifierOf(subject, parts)}`,
    version: 1,
    metadata: {
      timestamp: created,
      component: { type: 'application', 'bom-ref': name, name, version, licenses: licensesOf('Apache-2.0') },
    },
    components: parts.map(cycloneDxComponent),
    dependencies: [{ ref: name, dependsOn: parts.map(({ purl }) => purl) }],
  }
  return `${JSON.stringify(document, null, 1)}\n`
}

const cycloneDxComponent = ({ name, version, purl, license, cpe, sha256 }: Component) => ({
  ...{ type: 'library', 'bom-ref': purl, name, version },
  ...(sha256 === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: sha256 }] }),
  ...(license === undefined ? {} : { licenses: licensesOf(license) }),
  ...(cpe === undefined ? {} : { cpe }),
  purl,
})

const licensesOf = (license: string) =>
  / (OR|AND|WITH) /.test(license) ? [{ expression: license }] : [{ license: { id: license } }]

/** @see https://spdx.github.io/spdx-spec/v2.3/ */
export function spdx(subject: Subject, components: readonly Component[]): string {
  const parts = sorted(components)
  const root = 'SPDXRef-Product'
  const ids = parts.map(({ name }, at) => `SPDXRef-${at + 1}-${name.replace(/[^\w.-]+/g, '-')}`)
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${subject.name} ${subject.version}`,
    documentNamespace: `urn:uuid:${identifierOf(subject, parts)}`,
    creationInfo: { created: subject.created, creators: ['Tool: oriel-image'] },
    packages: [
      { ...spdxPackage(root, subject.name, subject.version, 'Apache-2.0'), primaryPackagePurpose: 'APPLICATION' },
      ...parts.map((part, at) => spdxComponent(ids[at]!, part)),
    ],
    relationships: [
      relationship('SPDXRef-DOCUMENT', 'DESCRIBES', root),
      ...ids.map((id) => relationship(root, 'CONTAINS', id)),
    ],
  }
  return `${JSON.stringify(document, null, 1)}\n`
}

function spdxComponent(id: string, { name, version, purl, license, cpe, sha256 }: Component) {
  const reference = (referenceCategory: string, referenceType: string, referenceLocator: string) => ({
    ...{ referenceCategory, referenceType, referenceLocator },
  })
  return {
    ...spdxPackage(id, name, version, license),
    ...(sha256 === undefined ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }] }),
    externalRefs: [
      reference('PACKAGE-MANAGER', 'purl', purl),
      ...(cpe === undefined ? [] : [reference('SECURITY', 'cpe23Type', cpe)]),
    ],
  }
}

const spdxPackage = (SPDXID: string, name: string, versionInfo: string, license = 'NOASSERTION') => ({
  ...{ SPDXID, name, versionInfo, downloadLocation: 'NOASSERTION', filesAnalyzed: false },
  ...{ licenseConcluded: 'NOASSERTION', licenseDeclared: license, copyrightText: 'NOASSERTION' },
})

const relationship = (spdxElementId: string, relationshipType: string, relatedSpdxElement: string) => ({
  ...{ spdxElementId, relationshipType, relatedSpdxElement },
})

/** A UUID of version 8 (RFC 9562 section 5.8) made of the digest of the content, so that equal content has an equal one. */
function identifierOf(subject: Subject, parts: readonly Component[]): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([subject, parts]))
    .digest('hex')
  const [a, b, c, d, e] = [
    [0, 8],
    [8, 12],
    [13, 16],
    [17, 20],
    [20, 32],
  ].map(([from, to]) => digest.slice(from, to))
  return `${a}-${b}-8${c}-a${d}-${e}`
}
