/** Key paths in the notation of TOML. */

/** The path of `key` inside the table at `path`. */
export function keyPath(path: string, key: string): string {
  const step = /^[\w-]+$/.test(key) ? key : JSON.stringify(key)
  return path ? `${path}.${step}` : step
}

/** The path of an element of the list at `path`. */
export function elementPath(path: string, index: number): string {
  return `${path}[${index}]`
}

/** Joins segments to a path; segments of digits are elements of a list, written `[]`. */
export function joinPath(segments: readonly string[]): string {
  return segments.reduce((path, step) => (/^\d+$/.test(step) ? `${path}[]` : keyPath(path, step)), '')
}
