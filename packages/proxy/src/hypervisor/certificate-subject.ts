/**
 * Compares a certificate's subject with the format of SPICE tools, such as `C=AU,O=Cloud,CN=compute-1`: all entries, in the
 * certificate's order. `\,` and `\\` are the only escapes. Ignores case and repeated blanks, as X509_NAME_cmp does.
 */

type Entry = readonly [key: string, value: string]

/**
 * @param wanted the subject in the format of SPICE tools
 * @param subject `X509Certificate.subject` of `node:crypto`: one entry per line, escaped as in RFC 2253
 */
export function subjectMatches(wanted: string, subject: string): boolean {
  const [a, b] = [wantedEntries(wanted), certificateEntries(subject)]
  return a.length > 0 && a.length === b.length && a.every((entry, i) => sameEntry(entry, b[i]!))
}

function wantedEntries(text: string): Entry[] {
  const parts = text.match(/(?:\\[\\,]|[^,\\])+/g) ?? []
  return parts.map((part) => entryOf(part.trimStart(), (value) => value.replace(/\\([\\,])/g, '$1')))
}

function certificateEntries(subject: string): Entry[] {
  return subject.split('\n').map((line) => entryOf(line, unescaped2253))
}

function entryOf(text: string, plain: (value: string) => string): Entry {
  const mark = text.indexOf('=')
  return mark < 0 ? [text, ''] : [text.slice(0, mark), plain(text.slice(mark + 1))]
}

const unescaped2253 = (value: string) =>
  value.replace(/\\(?:([0-9A-Fa-f]{2})|(.))/g, (_, code: string | undefined, character: string) =>
    code === undefined ? character : String.fromCharCode(Number.parseInt(code, 16)),
  )

const sameEntry = (a: Entry, b: Entry) => a[0].toUpperCase() === b[0].toUpperCase() && folded(a[1]) === folded(b[1])

const folded = (value: string) => value.trim().replace(/\s+/g, ' ').toLowerCase()
