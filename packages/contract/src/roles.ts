/** The roles of a session: the input that its client may send. The proxy enforces them; a page only shows them. */

/** A watcher sees the console. A controller may also send input. Consoles that Nova created are for `control`. */
export type ConsoleRole = 'control' | 'watch'

export const consoleRoles = ['control', 'watch'] as const satisfies readonly ConsoleRole[]

/**
 * The request header by which a proxy lists the roles that it enforces. The API admits a token for another role than
 * `control` only to a proxy that lists that role: an older proxy would let a watcher type.
 */
export const ROLES_HEADER = 'Oriel-Console-Roles'
