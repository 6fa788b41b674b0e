/** The tools that `<oriel-console>` can show above its console. */
export const tools = ['keys', 'type', 'clipboard', 'view', 'full'] as const

export type Tool = (typeof tools)[number]

export const isTool = (name: string): name is Tool => (tools as readonly string[]).includes(name)
