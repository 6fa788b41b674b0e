import { openScreen } from '@oriel/console'

/** Calls `changed` with the number of pixels in each change, until the console closes. */
export async function watch(accessUrl: string, changed: (pixels: number) => void): Promise<void> {
  await using screen = await openScreen({ url: accessUrl })
  for await (const { rectangles } of screen.updates()) {
    changed(rectangles.reduce((pixels, { width, height }) => pixels + width * height, 0))
  }
}
