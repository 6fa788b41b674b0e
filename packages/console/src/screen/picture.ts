/** Copies, compares and encodes pictures. */
import { decode, encode } from 'fast-png'
import type { Image, Rectangle, Screenshot } from './image.ts'

/** Copies a picture. */
export function takeScreenshot({ width, height, rgba }: Image): Screenshot {
  return withPng({ width, height, rgba: rgba.slice() })
}

const withPng = (image: Image): Screenshot => ({ ...image, png: () => encodePng(image) })

/** Encodes a picture as PNG without alpha. @throws RangeError for a picture without pixels */
export function encodePng({ width, height, rgba }: Image): Uint8Array {
  if (width * height === 0) throw new RangeError(`A screen of ${width}x${height} pixels has no picture`)
  const data = new Uint8Array(width * height * 3)
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from]!
    data[to + 1] = rgba[from + 1]!
    data[to + 2] = rgba[from + 2]!
  }
  return encode({ width, height, data, channels: 3, depth: 8 })
}

/** Decodes a PNG. @throws TypeError for bytes of another format, RangeError for a PNG with 16 bits per channel */
export function decodePng(bytes: Uint8Array): Image {
  const { width, height, data, channels, depth, palette } = read(bytes)
  if (depth === 16) throw new RangeError('A PNG with 16 bits per channel is not supported')
  const rgba = new Uint8Array(width * height * 4)
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const samples = palette ? palette[sample(data, pixel, width, depth)]! : undefined
    rgba.set(samples ? opaque(samples) : opaque(grayOrColour(data, pixel, channels, width, depth)), pixel * 4)
  }
  return { width, height, rgba }
}

function read(bytes: Uint8Array): ReturnType<typeof decode> {
  try {
    return decode(bytes)
  } catch (cause) {
    throw new TypeError(`The picture is not a whole PNG: ${(cause as Error).message}`, { cause })
  }
}

function grayOrColour(data: ArrayLike<number>, pixel: number, channels: number, width: number, depth: number) {
  if (channels >= 3) return Array.from({ length: channels }, (_, i) => data[pixel * channels + i]!)
  if (channels === 2) return [data[pixel * 2]!, data[pixel * 2]!, data[pixel * 2]!, data[pixel * 2 + 1]!]
  const gray = (sample(data, pixel, width, depth) * 255) / (2 ** depth - 1)
  return [gray, gray, gray]
}

const opaque = ([red, green, blue, alpha = 255]: readonly number[]) => [red!, green!, blue!, alpha]

/** The sample of a picture with one channel, whose rows are packed into whole bytes. */
function sample(data: ArrayLike<number>, pixel: number, width: number, depth: number): number {
  if (depth === 8) return data[pixel]!
  const [row, column] = [Math.floor(pixel / width), pixel % width]
  const bit = column * depth
  const byte = data[row * Math.ceil((width * depth) / 8) + (bit >> 3)]!
  return (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1)
}

export interface Comparison {
  /** The largest difference of a channel, 0–255, that counts as equal. */
  readonly perChannel: number
  /** Areas that are not compared. */
  readonly mask: readonly Rectangle[]
}

/**
 * Counts the pixels that differ, up to `limit + 1`. Pixels of `expected` that are fully transparent are not compared.
 * Pictures of different sizes differ in all pixels.
 */
export function countDifferences(expected: Image, actual: Image, limit: number, comparison: Comparison): number {
  const { width, height } = expected
  if (width !== actual.width || height !== actual.height) return Number.POSITIVE_INFINITY
  let count = 0
  for (let y = 0; y < height && count <= limit; y += 1) {
    const masked = comparison.mask.filter((area) => area.y <= y && y < area.y + area.height)
    for (let x = 0; x < width && count <= limit; x += 1) {
      if (differs(expected.rgba, actual.rgba, (y * width + x) * 4, comparison.perChannel)) {
        if (!masked.some((area) => area.x <= x && x < area.x + area.width)) count += 1
      }
    }
  }
  return count
}

function differs(expected: Uint8Array, actual: Uint8Array, at: number, tolerance: number): boolean {
  if (expected[at + 3] === 0) return false
  return (
    Math.abs(expected[at]! - actual[at]!) > tolerance ||
    Math.abs(expected[at + 1]! - actual[at + 1]!) > tolerance ||
    Math.abs(expected[at + 2]! - actual[at + 2]!) > tolerance
  )
}
