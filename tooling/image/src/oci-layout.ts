/**
 * Writes images as an OCI layout, which `skopeo copy`, `podman pull oci:` and `crane push` read. The same input gives the
 * same bytes.
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { ImageConfig } from './containerfile.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/** A layer in the layout. `diffId` is the digest of its tar. */
export interface Layer extends Descriptor {
  readonly diffId: string
}

export interface Image {
  /** The tag in the layout. */
  readonly name: string
  readonly config: ImageConfig
  readonly layers: readonly Layer[]
}

export interface Platform {
  readonly architecture: string
  readonly created: string
}

const GZIP_LEVEL = 6

export class OciLayout {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  }

  addLayer(tar: Buffer): Layer {
    const compressed = gzipSync(tar, { level: GZIP_LEVEL })
    return { ...this.#put(compressed, 'application/vnd.oci.image.layer.v1.tar+gzip'), diffId: digestOf(tar) }
  }

  /** Writes the manifests and the index. Returns the digest of each manifest, by the image's name. */
  finish(images: readonly Image[], { architecture, created }: Platform): Readonly<Record<string, string>> {
    const platform = { architecture, os: 'linux' }
    const manifests = images.map((image) => ({
      ...this.#manifestOf(image, platform, created),
      platform,
      annotations: { 'org.opencontainers.image.ref.name': image.name },
    }))
    const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
    writeFileSync(join(this.#folder, 'index.json'), JSON.stringify(index))
    return Object.fromEntries(images.map(({ name }, at) => [name, manifests[at]!.digest]))
  }

  #manifestOf({ config, layers }: Image, platform: object, created: string): Descriptor {
    const history = layers.map(() => ({ created, created_by: 'deploy/image/Containerfile' }))
    const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) }
    const image = { created, ...platform, config, rootfs, history }
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = {
      schemaVersion: 2,
      mediaType,
      config: this.#putJson(image, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map(({ diffId: _, ...descriptor }) => descriptor),
      annotations: { ...config.Labels, 'org.opencontainers.image.created': created },
    }
    return this.#putJson(manifest, mediaType)
  }

  #putJson(value: object, mediaType: string): Descriptor {
    return this.#put(Buffer.from(JSON.stringify(value)), mediaType)
  }

  #put(bytes: Buffer, mediaType: string): Descriptor {
    const digest = digestOf(bytes)
    writeFileSync(join(this.#folder, 'blobs', digest.replace(':', '/')), bytes)
    return { mediaType, digest, size: bytes.length }
  }
}

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
