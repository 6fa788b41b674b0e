/** The demo guest's serial port: a shell of a few words, for any terminal that sends UTF-8. */
import type { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'

export interface ShellOptions {
  /** The guest's name, for the greeting and the prompt. */
  readonly name: string
  /** The guest's clock. */
  readonly now: () => Date
}

const maxInput = 256
const clearScreen = '\x1b[2J\x1b[H'
const backspaces = new Set(['\b', '\x7f'])

/** Serves one terminal until it disconnects. Backpressure: reads no input while the terminal does not read the output. */
export function serveTerminal(socket: Socket, options: ShellOptions): void {
  const shell = new Shell(options)
  const decoder = new StringDecoder('utf8')
  const show = (text: string) => {
    if (text === '' || socket.write(text)) return
    socket.pause()
    socket.once('drain', () => socket.resume())
  }
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes) => show(shell.type(decoder.write(bytes))))
  show(shell.greeting())
}

/** A line editor with a few commands, which maps keys to the terminal's output. */
export class Shell {
  readonly #name: string
  readonly #now: () => Date
  readonly #since: Date
  #input: string[] = []
  #escape: 'none' | 'begun' | 'sequence' = 'none'
  #afterReturn = false

  constructor({ name, now }: ShellOptions) {
    this.#name = name
    this.#now = now
    this.#since = now()
  }

  greeting(): string {
    return `\r\nOriel demo guest ${this.#name}, on its serial port.\r\nSay "help" to hear what I can do.\r\n\r\n${this.#prompt}`
  }

  /** Processes keys and returns the terminal's output. */
  type(keys: string): string {
    return [...keys].map((key) => this.#key(key)).join('')
  }

  get #prompt(): string {
    return `\x1b[32m${this.#name}$\x1b[0m `
  }

  #key(key: string): string {
    if (this.#inEscape(key)) return ''
    const afterReturn = this.#afterReturn
    this.#afterReturn = key === '\r'
    if (key === '\n' && afterReturn) return ''
    if (key === '\r' || key === '\n') return this.#enter()
    if (backspaces.has(key)) return this.#input.pop() === undefined ? '' : '\b \b'
    if (key in this.#controls) return this.#controls[key]!()
    return this.#insert(key)
  }

  /** Skips arrow and function keys, which arrive as ESC, `[` or `O`, and more up to a letter or `~` (ECMA-48). */
  #inEscape(key: string): boolean {
    const before = this.#escape
    if (key === '\x1b') this.#escape = 'begun'
    else if (before === 'begun') this.#escape = key === '[' || key === 'O' ? 'sequence' : 'none'
    else if (before === 'sequence' && /[@-~]/.test(key)) this.#escape = 'none'
    return key === '\x1b' || before !== 'none'
  }

  readonly #controls: Readonly<Record<string, () => string>> = {
    '\x03': () => `^C\r\n${this.#restart()}`,
    '\x0c': () => `${clearScreen}${this.#prompt}${this.#input.join('')}`,
    '\x15': () => '\b \b'.repeat(this.#input.splice(0).length),
  }

  #insert(key: string): string {
    if (key < ' ' || this.#input.length >= maxInput) return ''
    this.#input.push(key)
    return key
  }

  #enter(): string {
    const answer = this.#answer(this.#input.join('').trim())
    return `\r\n${answer}${this.#restart()}`
  }

  #restart(): string {
    this.#input = []
    return this.#prompt
  }

  #answer(line: string): string {
    if (line === '') return ''
    const [word, ...rest] = line.split(/\s+/)
    const known = Object.hasOwn(this.#words, word!) ? this.#words[word!] : undefined
    return known ? known(rest) : `${word}: not known here, say help\r\n`
  }

  readonly #words: Readonly<Record<string, (rest: readonly string[]) => string>> = {
    help: () => `${Object.keys(this.#words).join(' ')}\r\n`,
    date: () => `${this.#now().toString().slice(0, 33)}\r\n`,
    uptime: () => `up ${Math.floor((this.#now().getTime() - this.#since.getTime()) / 1000)} seconds\r\n`,
    hostname: () => `${this.#name}\r\n`,
    echo: (rest) => `${rest.join(' ')}\r\n`,
    clear: () => clearScreen,
  }
}
