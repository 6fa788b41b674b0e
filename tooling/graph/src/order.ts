/**
 * The order of a package's folders, lowest first: a file may import from its own entry and from earlier ones. An entry
 * is a folder, a file that is lower in the order than its folder, or `.` for the remaining files of the package's
 * `src`.
 */
export type FolderOrder = readonly string[]

export const folderOrders: Readonly<Record<string, FolderOrder>> = {
  'packages/proxy/src': [
    ...['refused.ts', 'timing.ts', 'consoles/kinds.ts', 'hypervisor', 'serial', 'rfb/wire', 'rfb/security', 'rfb'],
    ...[
      'session',
      'presence',
      'resume',
      'authority',
      'metrics.ts',
      'admit',
      'spice/wire',
      'consoles',
      'connect',
      'standing',
    ],
    ...['spice/session', 'spice/channel', 'spice/console-file', 'spice'],
    ...['listen', 'admin', '.', 'fleet', 'index.ts'],
  ],
  'packages/console/src': [
    ...['pattern.ts', 'timer.ts', 'screen/image.ts', 'text', 'errors.ts', 'screen/framebuffer.ts', 'keyboard'],
    ...['rfb/wire', 'rfb/encodings', 'rfb', 'connection'],
    ...['serial', 'screen', '.'],
  ],
  'packages/cli/src': [
    ...['exit-codes.ts', 'failure.ts', 'output.ts', 'signals.ts', 'arguments/options.ts', 'arguments/nearest.ts'],
    ...['arguments/parse.ts', 'commands/command.ts', 'cloud', 'console', 'serial', 'viewer', 'screen', 'mcp', 'doctor'],
    ...['commands', 'arguments', '.'],
  ],
  'packages/api/src': [
    ...['metrics.ts', 'database', 'policy/role.ts', 'policy/rules.ts', 'auth', 'policy'],
    ...[
      'sources/server.ts',
      'sources/source.ts',
      'sources/errors.ts',
      'sources/status.ts',
      'sources/guests',
      'sources/libvirt',
      'sources/qemu',
      'sources/static',
      'sources',
    ],
    ...['http', 'servers', 'console-auth-tokens', 'consoles', 'sessions', 'screenshots', 'serial-ports', 'admin', '.'],
  ],
}

/** Returns the longest entry that contains a file, given its path in the package, or `undefined` if no entry contains it. */
export function entryOf(file: string, order: FolderOrder): string | undefined {
  const [longest] = order
    .filter((entry) => file === entry || file.startsWith(`${entry}/`))
    .sort((a, b) => b.length - a.length)
  return longest ?? (file.includes('/') || !order.includes('.') ? undefined : '.')
}
