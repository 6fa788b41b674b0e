/** Writes a small picture of each server's screen: node thumbnails.ts FOLDER */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodePng, type Image, openScreen } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

const client = createClient(fromEnvironment())
const { servers } = await (await client.negotiate()).listServersDetail({ query: {} })
for (const { id, name, status } of servers) {
  if (status === 'ACTIVE') await draw(id, name)
  else console.log(`${name} is off: ${status}`)
}

/** A console that fails does not stop the rest. */
async function draw(id: string, name: string): Promise<void> {
  try {
    await using screen = await openScreen(client, id, { openTimeoutMs: 10_000 })
    await writeFile(join(process.argv[2]!, `${id}.png`), encodePng(quarter(await screen.screenshot())))
    console.log(`${name} is in ${id}.png`)
  } catch (error) {
    console.error(`${name} has no picture: ${(error as Error).message}`)
    process.exitCode = 1
  }
}

/** Shrinks a picture to a quarter of its width: each pixel is the mean of 16. */
function quarter({ width, height, rgba }: Image): Image {
  const small = { width: width >> 2, height: height >> 2 }
  const mean = (index: number) => {
    const [x, y] = [(index >> 2) % small.width, Math.floor((index >> 2) / small.width)]
    let sum = 0
    for (let at = 0; at < 16; at++) sum += rgba[4 * ((4 * y + (at >> 2)) * width + 4 * x + (at & 3)) + (index & 3)]!
    return sum / 16
  }
  return { ...small, rgba: Uint8Array.from({ length: 4 * small.width * small.height }, (_, index) => mean(index)) }
}
