/** Answers the questions of an installer, and waits for the login prompt: node install.ts SERVER_ID */
import { openScreen } from '@oriel/console'
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

/** The questions of the installer, as the screen shows them, and the answers to type. */
const answers: [question: RegExp, answer: string][] = [
  [/^Name of this machine:$/m, 'web-1\n'],
  [/^Password of root:$/m, `${process.env.ROOT_PASSWORD}\n`],
  [/^Erase the disk\? \[y\/N\]$/m, 'y\n'],
]

const client = createClient(fromEnvironment())
await using screen = await openScreen(client, process.argv[2]!, { reconnect: true })
for (const [question, answer] of answers) {
  await screen.waitForText(question, { timeoutMs: 10 * 60_000 })
  await screen.type(answer)
  console.log(`answered ${question}`)
}
await screen.waitForText(/ login:$/m, { timeoutMs: 60 * 60_000 })
console.log('installed')
