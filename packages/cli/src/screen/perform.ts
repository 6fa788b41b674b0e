/** Performs the steps of a script on a screen. */
import { setTimeout as pause } from 'node:timers/promises'
import type { LayoutName, Screen } from '@oriel/console'
import type { Step } from './script.ts'
import { writePicture } from './write-picture.ts'

/** What later steps inherit from earlier ones. */
export interface Settings {
  /** How long a `wait` or a `still` may take. */
  timeoutMs: number
  layout: LayoutName
}

/** Performs one step. @throws what the screen throws; Failure for a file that cannot be written */
export async function perform(step: Step, screen: Screen, settings: Settings): Promise<void> {
  switch (step.does) {
    case 'wait':
      await screen.waitForText(step.pattern, settings)
      return
    case 'still':
      await screen.waitForStill({ quietMs: step.quietMs, ...settings })
      return
    case 'type':
      return screen.type(step.text, settings)
    case 'press':
      return screen.press(...step.keys)
    case 'pause':
      return pause(step.ms)
    case 'screenshot':
      return writePicture(step.file, await screen.screenshot())
    case 'timeout':
      settings.timeoutMs = step.ms
      return
    case 'layout':
      settings.layout = step.name as LayoutName
  }
}
