/** `oriel screenshot SERVER` */
import type { Screenshot } from '@oriel/console'
import { textOf, type Values } from '../arguments/options.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'
import { echoed, print, printJson, say } from '../output.ts'
import { openServerScreen } from '../screen/open.ts'
import { writePicture } from '../screen/write-picture.ts'
import type { Call } from './command.ts'

/** Writes the picture as a PNG, or prints the text on it. */
export async function run({ words, values }: Call): Promise<undefined> {
  const file = fileOf(values)
  await using opened = await openServerScreen(signIn(values), words[0]!)
  const { server, screen } = opened
  const [picture, text] = [await screen.screenshot(), values.text ? String(await screen.text()) : undefined]
  if (file !== undefined) await write(file, picture)
  const { width, height } = picture
  const described = { server: { id: server.id, name: server.name }, width, height, file: file ?? null }
  if (values.json) return printJson({ ...described, ...(text !== undefined && { text }) })
  if (text === undefined) return
  if (text.trim() === '') say(`${echoed(server.name)} shows no text that can be read`)
  print(text)
}

/** `-` and a pipe are stdout, as a file that Node can write. */
function fileOf(values: Values): string | undefined {
  const file = textOf(values, 'output')
  if (file !== undefined) return file === '-' ? STDOUT : file
  if (values.text || values.json) return undefined
  if (!process.stdout.isTTY) return STDOUT
  throw new Failure('usage', 'A picture is not for a terminal. Name a file with -o, or read the text with --text.')
}
const STDOUT = '/dev/stdout'

const write = (file: string, picture: Screenshot): Promise<void> =>
  file === STDOUT ? writeStdout(picture.png()) : writePicture(file, picture)

const writeStdout = (bytes: Uint8Array) =>
  new Promise<void>((resolve, reject) => process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())))
