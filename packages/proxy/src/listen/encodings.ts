/** Content codings of pages: those that a client accepts, and the copies that the build has compressed. */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip } from 'node:zlib'

/** The codings that the pages are compressed with, the smallest result first. */
export const codings = ['br', 'gzip'] as const
export type Coding = (typeof codings)[number]

const suffixes = { br: '.br', gzip: '.gz' } as const satisfies Record<Coding, string>
const decoders = { br: promisify(brotliDecompress), gzip: promisify(gunzip) } as const

/**
 * Reads the compressed copies beside `file`. Omits a copy that does not decode to `body`: an operator has replaced the
 * file since.
 */
export async function readCompressed(file: string, body: Buffer): Promise<ReadonlyMap<Coding, Buffer>> {
  const copies = new Map<Coding, Buffer>()
  for (const coding of codings) {
    const copy = await readFile(file + suffixes[coding]).catch(() => undefined)
    if (copy !== undefined && (await decodesTo(coding, copy, body))) copies.set(coding, copy)
  }
  return copies
}

async function decodesTo(coding: Coding, copy: Buffer, body: Buffer): Promise<boolean> {
  try {
    return body.equals(await decoders[coding](copy, { maxOutputLength: Math.max(1, body.length) }))
  } catch {
    return false
  }
}

/**
 * Returns the codings that a client accepts, the smallest result first.
 * @param header the value of Accept-Encoding. Absent: the client may get any coding, so it gets none
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
 */
export function acceptedCodings(header: string | undefined): Coding[] {
  const weights = new Map((header ?? '').split(',').map(readWeight))
  return codings.filter((coding) => (weights.get(coding) ?? weights.get('*') ?? 0) > 0)
}

function readWeight(item: string): [name: string, weight: number] {
  const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  return [name === 'x-gzip' ? 'gzip' : name, weight === undefined ? 1 : Number(weight.slice(2)) || 0]
}
