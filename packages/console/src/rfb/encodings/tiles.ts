import type { Rectangle } from '../../screen/image.ts'

/** Yields the tiles of an area from left to right and from the top. Those at the right and at the bottom may be smaller. */
export function* tiles({ x, y, width, height }: Rectangle, size: number): Generator<Rectangle, void> {
  for (let top = y; top < y + height; top += size) {
    for (let left = x; left < x + width; left += size) {
      yield { x: left, y: top, width: Math.min(size, x + width - left), height: Math.min(size, y + height - top) }
    }
  }
}
