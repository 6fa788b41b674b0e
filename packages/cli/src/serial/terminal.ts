/** The terminal in raw mode: every key goes to the machine, and every byte of the machine to the screen. */
import { spawnSync } from 'node:child_process'

/** Resets colours, shows the cursor, which a machine's program may have hidden, and begins a new line. */
const TIDY = '\u001b[0m\u001b[?25h\r\n'

/**
 * Switches the terminal to raw mode, and returns the function that restores it. It is also restored when the process exits in
 * any other way but SIGKILL, and set again after Ctrl-Z's SIGCONT.
 */
export function enterRawMode(): () => void {
  setRaw()
  process.on('SIGCONT', setRaw)
  let isRaw = true
  const restore = () => {
    if (!isRaw) return
    isRaw = false
    process.off('SIGCONT', setRaw)
    process.off('exit', restore)
    if (process.stdout.isTTY) process.stdout.write(TIDY)
    process.stdin.setRawMode(false)
  }
  process.on('exit', restore)
  return restore
}

function setRaw(): void {
  // Node skips a mode that it believes is set, which after SIGCONT is not so.
  process.stdin.setRawMode(false)
  process.stdin.setRawMode(true)
  // Node's raw mode still adds a CR to each LF, which moves the cursor of full-screen programs. Without stty that stays.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/** Returns the size of the terminal, and how to set it in the machine: a serial line does not carry it. */
export function sizeHint(): string | undefined {
  const { columns, rows } = process.stdout
  // A pseudo-terminal without a size has 0 columns.
  return columns ? `The machine does not know the size of this terminal: stty rows ${rows} cols ${columns}` : undefined
}
