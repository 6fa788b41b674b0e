/** The generated modules, as text. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BitmapFont, createGlyphTable } from '@oriel/console'
import { unpacked } from './fonts.ts'
import { moduleOf, packTables } from './pack.ts'

export const tableFolder = join(import.meta.dirname, '../../../packages/console/src/text/tables')

/** Returns the modules by their file names. */
export function madeTables(fonts: readonly BitmapFont[]): Record<string, string> {
  const { consoles, unifont } = packTables(createGlyphTable(fonts))
  return {
    'consoles.ts': moduleOf('faces', 'readonly PackedFace[]', consoles, [...installed(), ...unpackedPackages()]),
    'unifont.ts': moduleOf('rest', 'PackedFace', unifont, installed('grub-common')),
  }
}

function installed(...names: string[]): string[] {
  const packages = names.length > 0 ? names : ['seabios', 'grub-common']
  // Without a format: name and version, with a tab between them.
  return execFileSync('dpkg-query', ['-W', ...packages], { encoding: 'utf8' })
    .trim()
    .replaceAll('\t', ' ')
    .split('\n')
}

/** `console-setup-linux_1.221_all.deb` and its like, from the list of `tests/install-debian-packages`. */
function unpackedPackages(): string[] {
  return ['console-data', 'console-setup-linux', 'linux-image-cloud-amd64', 'ovmf'].map((name) => {
    const file = readFileSync(join(unpacked, 'unpacked', name), 'utf8')
    const [packageName, version] = decodeURIComponent(file.trim()).split('_')
    return `${packageName} ${version}`
  })
}
