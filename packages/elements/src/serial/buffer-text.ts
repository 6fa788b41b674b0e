/** Reads the text of a terminal, in the lines that the machine printed. */
import type { IBuffer, IBufferLine } from '@xterm/xterm'

/** Returns the text of `buffer`. A line that was wrapped at the terminal's margin is one line. */
export function bufferText(buffer: IBuffer): string {
  const lines: string[] = []
  for (let row = 0; row < buffer.length; row += 1) {
    const line = buffer.getLine(row)!
    const text = rowText(line, buffer.getLine(row + 1))
    if (line.isWrapped && lines.length > 0) lines[lines.length - 1] += text
    else lines.push(text)
  }
  return lines.join('\n').trimEnd()
}

function rowText(line: IBufferLine, next: IBufferLine | undefined): string {
  if (next?.isWrapped !== true) return line.translateToString(true)
  // A wide character that does not fit leaves the last column empty.
  const leavesGap = line.getCell(line.length - 1)?.getChars() === '' && next.getCell(0)?.getWidth() === 2
  return line.translateToString(false, 0, leavesGap ? line.length - 1 : line.length)
}
