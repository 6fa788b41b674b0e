/** Texts of servers, made fit to be shown. */

/**
 * Makes untrusted `text` a single line that is safe to display: removes control and direction-changing characters, and
 * cuts it to `maxLength` UTF-16 units. Default: 200.
 */
export function plainLine(text: string, maxLength = 200): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length > maxLength ? `${line.slice(0, maxLength - 1)}…` : line
}
