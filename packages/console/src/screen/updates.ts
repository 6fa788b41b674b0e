/** The updates of a screen as an asynchronous iterable. */
import type { Rectangle } from './image.ts'
import type { Life } from './life.ts'

/** What has changed since the iteration before. */
export interface Change {
  /** The areas that were drawn. They may overlap, and their pixels may be the same as before. */
  readonly rectangles: readonly Rectangle[]
  /** Whether the screen has taken another size. */
  readonly isResized: boolean
}

/** A slow reader gets one area in place of more than these. */
const MAX_RECTANGLES = 256

/** Yields changes until the screen is closed. @throws the error with which the screen ended */
export async function* changesOf(life: Life): AsyncGenerator<Change, void> {
  let next: Change | undefined
  let wake = Promise.withResolvers<void>()
  const removers = [
    life.onUpdate.add(({ damage, isResized }) => {
      next = merged(next, { rectangles: damage, isResized })
      wake.resolve()
    }),
    life.onEnd.add(() => wake.resolve()),
  ]
  try {
    while (!life.failure) {
      await wake.promise
      wake = Promise.withResolvers()
      if (next === undefined) continue
      const change = next
      next = undefined
      yield change
    }
    if (life.cause) throw life.cause
  } finally {
    for (const remove of removers) remove()
  }
}

function merged(before: Change | undefined, after: Change): Change {
  if (before === undefined) return after
  const rectangles = [...(after.isResized ? [] : before.rectangles), ...after.rectangles]
  return {
    rectangles: rectangles.length > MAX_RECTANGLES ? [around(rectangles)] : rectangles,
    isResized: before.isResized || after.isResized,
  }
}

function around(rectangles: readonly Rectangle[]): Rectangle {
  const x = Math.min(...rectangles.map((area) => area.x))
  const y = Math.min(...rectangles.map((area) => area.y))
  const right = Math.max(...rectangles.map((area) => area.x + area.width))
  const bottom = Math.max(...rectangles.map((area) => area.y + area.height))
  return { x, y, width: right - x, height: bottom - y }
}
