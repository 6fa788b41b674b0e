/** `oriel spice SERVER` */
import { writeFileSync } from 'node:fs'
import { textOf } from '../arguments/options.ts'
import { consoleOf } from '../cloud/create-console.ts'
import { signIn } from '../cloud/sign-in.ts'
import { Failure } from '../failure.ts'
import { echoed, print, printJson, say } from '../output.ts'
import { signalled } from '../signals.ts'
import { consoleFile, privateFile } from '../viewer/console-file.ts'
import { startViewer } from '../viewer/start-viewer.ts'
import { spiceCommand } from '../viewer/viewers.ts'
import type { Call } from './command.ts'

/** Downloads the console file and starts remote-viewer with it, or writes it. */
export async function run({ words, values }: Call): Promise<number> {
  const cloud = signIn(values)
  const [viewer, output] = [textOf(values, 'viewer'), textOf(values, 'output')]
  if (output === undefined && spiceCommand(viewer, '') === undefined) throw new Failure('usage', NO_VIEWER)
  const { server, console } = await consoleOf(cloud, words[0]!, 'spice-direct')
  const text = await consoleFile(console.url, cloud)
  if (output !== undefined) return write(output, text, Boolean(values.json))
  return show(spiceCommand(viewer, privateFile('console.vv', text).path)!, echoed(server.name))
}

const NO_VIEWER =
  'There is no remote-viewer, or no screen for it. Install virt-viewer, name another program with --viewer, ' +
  'or write the file with --output console.vv and run `remote-viewer console.vv` elsewhere within a minute.'

function write(file: string, text: string, asJson: boolean): number {
  if (file === '-') print(text.trimEnd())
  else writeNew(file, text)
  if (file !== '-' && asJson) printJson({ file })
  return 0
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600 })
  } catch (cause) {
    const { message } = cause as Error
    throw new Failure('usage', `${file} cannot be written: ${message}. Choose another --output.`, { cause })
  }
  say(`wrote ${file}; run remote-viewer ${file} within a minute`)
}

async function show(command: readonly string[], name: string): Promise<number> {
  say(`starting ${command[0]} for ${name}`)
  const viewer = startViewer(command)
  const code = await Promise.race([viewer.ended.then(() => 0), signalled()])
  viewer.stop()
  return code
}
