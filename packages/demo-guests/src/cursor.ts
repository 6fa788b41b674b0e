/** The demo guest's pointer: a white arrow with a dark edge, its tip at the top left. */

const drawing = `
#..........
##.........
#o#........
#oo#.......
#ooo#......
#oooo#.....
#ooooo#....
#oooooo#...
#ooooooo#..
#oooooooo#.
#ooooo#####
#oo#oo#....
#o#.#oo#...
##..#oo#...
#....#oo#..
.....####..
`
  .trim()
  .split('\n')

const width = 11
const height = drawing.length

export const cursor = {
  width,
  height,
  /** One bit per pixel, rows padded to whole bytes; set where the arrow is. */
  mask: Buffer.concat(drawing.map(maskRow)),
  colourAt: (x: number, y: number) => (drawing[y]![x] === 'o' ? 0xffffff : 0x101820),
}

function maskRow(row: string): Buffer {
  const bytes = Buffer.alloc(Math.ceil(width / 8))
  for (let x = 0; x < width; x++) if (row[x] !== '.') bytes[x >> 3]! |= 0x80 >> (x & 7)
  return bytes
}
