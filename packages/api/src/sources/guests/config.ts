/** Configuration keys that all sources of hypervisor guests share. */
import { MAX_TIMER_SECONDS } from '@oriel/runtime'
import * as Type from 'typebox'

/** The keys for the owner of a guest: the first row of `projects` that matches its name, or else `project_id`. */
export const ownerKeys = {
  project_id: Type.String({ minLength: 1, description: 'The project that owns the guests of this source.' }),
  projects: Type.Array(
    Type.Object(
      {
        name: Type.String({
          minLength: 1,
          description: 'A pattern for guest names; * matches any characters, ? one.',
        }),
        project_id: Type.String({ minLength: 1, description: 'The project that owns these guests.' }),
      },
      { additionalProperties: false },
    ),
    { default: [], description: 'Guests that belong to other projects. The first matching row counts.' },
  ),
}

export const restartKeys = {
  restart_seconds: Type.Number({
    default: 5,
    minimum: 0,
    maximum: MAX_TIMER_SECONDS,
    description:
      'How long after a stop a guest may run again and keep its tokens, if its UUID, name, owner and addresses are the same. 0: a stop revokes them at once.',
  }),
}

export interface Owners {
  readonly project_id: string
  readonly projects: readonly { readonly name: string; readonly project_id: string }[]
}

/** Returns the project of the guest with this name. */
export function projectOf(name: string, { project_id, projects }: Owners): string {
  return projects.find((row) => fits(name, row.name))?.project_id ?? project_id
}

function fits(name: string, pattern: string): boolean {
  const parts = [...pattern].map(
    (character) => wildcards[character] ?? character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&'),
  )
  return new RegExp(`^${parts.join('')}$`, 'su').test(name)
}

const wildcards: Readonly<Record<string, string>> = { '*': '.*', '?': '.' }
