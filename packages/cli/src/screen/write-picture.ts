/** Writes pictures of screens to files. */
import { writeFile } from 'node:fs/promises'
import type { Screenshot } from '@oriel/console'
import { Failure } from '../failure.ts'

/** Writes a PNG that only its owner may read. @throws Failure if the file cannot be written */
export async function writePicture(file: string, picture: Screenshot): Promise<void> {
  try {
    await writeFile(file, picture.png(), { mode: 0o600 })
  } catch (cause) {
    throw new Failure('usage', `${file} cannot be written: ${(cause as Error).message}.`, { cause })
  }
}
