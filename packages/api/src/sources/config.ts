/** The array `sources`. Every kind of source needs a schema here and a factory in `sources/create.ts`. */
import * as Type from 'typebox'
import { libvirtSourceConfig } from './libvirt/config.ts'
import { qemuSourceConfig } from './qemu/config.ts'
import { staticSourceConfig } from './static/config.ts'

export const sourceConfig = Type.Union([staticSourceConfig, qemuSourceConfig, libvirtSourceConfig])
export type SourceConfig = Type.Static<typeof sourceConfig>
