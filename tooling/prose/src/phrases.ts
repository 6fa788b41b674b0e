/** Phrases that hide who does what. A sentence that names its subject needs none of them. */

export interface Phrase {
  /** Words in the order in which they must appear; `|` separates alternatives for one word. */
  readonly words: string
  /** The phrase is allowed directly after this word. */
  readonly notAfter?: string
  /** The phrase is allowed directly before this word. */
  readonly notBefore?: string
  readonly instead: string
}

const NAME_WHO = 'name who: the client, the caller, the operator'
const NAME_WHAT = 'name the thing: the token, the answer, the buffer'
const PASSIVE_SAY = 'say which function receives what, or use the verb of the code: notify, pass, return'
const RELEASE = 'write "release", "drop" or "close"'

export const phrases: readonly Phrase[] = [
  { words: 'whoever', instead: NAME_WHO },
  { words: 'whomever', instead: NAME_WHO },
  { words: "nobody|nobody's", instead: `${NAME_WHO}; or "no client", "is ignored", "is not awaited"` },
  { words: 'is|are none', notAfter: 'there', notBefore: 'of', instead: 'say what it is: malformed, missing, unknown' },
  { words: 'what came', instead: NAME_WHAT },
  { words: 'what became of', instead: NAME_WHAT },
  { words: 'what befell', instead: NAME_WHAT },
  { words: 'what is|are no', notBefore: 'longer', instead: NAME_WHAT },
  { words: 'what stands|stood there', instead: NAME_WHAT },
  { words: 'is|are|was|were|be|been told', notBefore: 'apart', instead: PASSIVE_SAY },
  { words: 'hear|hears|heard of', instead: PASSIVE_SAY },
  { words: 'let|lets|letting go of', instead: RELEASE },
  { words: 'no longer so', instead: 'say what has changed' },
  { words: 'upon which', instead: 'write "so", or begin a new sentence' },
]
