/** The table of commands. */

import { layoutNames } from '@oriel/console'
import { openableConsoleTypes } from '@oriel/contract'
import type { Command } from './command.ts'

const type = {
  type: { value: 'TYPE', choices: openableConsoleTypes, help: `one of ${openableConsoleTypes.join(', ')}` },
}
const novncByDefault = { type: { ...type.type, help: `${type.type.help}; default novnc` } }
const viewer = { value: 'COMMAND', help: 'the viewer to start; `none` starts no viewer' }
const server = ['servers'] as const
const layout = { value: 'LAYOUT', choices: layoutNames, help: 'the layout of the keyboard in the guest; default us' }
const patience = { value: 'SECONDS', help: 'how long a wait may take; default 60' }

export const commands = {
  servers: {
    summary: 'list the servers',
    usage: '',
    words: [0, 0],
    options: {
      consoles: { help: 'also list the types of console that each server has; this creates one of each' },
    },
    load: () => import('./servers.ts'),
  },
  url: {
    summary: 'create a console and print its access URL',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: { ...novncByDefault, page: { help: 'print the page for a browser instead' } },
    notes: 'The URL contains a token that opens the console. Treat it as a secret.',
    load: () => import('./url.ts'),
  },
  open: {
    summary: 'open a console in the browser',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: novncByDefault,
    notes: 'Without a browser it prints the address. BROWSER names another one.',
    load: () => import('./open.ts'),
  },
  serial: {
    summary: 'make this terminal the serial console',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: {
      log: { value: 'FILE', help: 'append the output to this file' },
      linger: {
        value: 'SECONDS',
        help: 'after the end of piped input, leave once no output came for so long; default 2',
      },
      follow: { help: 'stay after the end of piped input, and open the console again when its connection ends' },
    },
    notes:
      'Ctrl-] leaves. So does ~. after Enter; ~? lists what else ~ does there. Ctrl-C goes to the machine.\n' +
      'Piped input is sent as it is, without these keys: echo ls | oriel serial web-1',
    load: () => import('./serial.ts'),
  },
  vnc: {
    summary: 'open a console in a VNC viewer',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: {
      listen: { value: 'HOST:PORT', help: 'where viewers connect; default 127.0.0.1:0, a free port' },
      viewer,
    },
    notes:
      'Starts the first of vncviewer, xtigervncviewer, remote-viewer and gvncviewer on PATH. Without one it prints the\n' +
      'address and waits. In COMMAND, {host}, {port} and {address} (HOST::PORT) are replaced.',
    load: () => import('./vnc.ts'),
  },
  spice: {
    summary: 'open a console in remote-viewer',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: {
      output: { short: 'o', value: 'FILE', help: 'write the .vv file there instead of starting a viewer' },
      viewer,
    },
    load: () => import('./spice.ts'),
  },
  screenshot: {
    summary: 'write the screen as a PNG, or print its text',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: {
      output: { short: 'o', value: 'FILE', help: 'write the PNG there; - is stdout, the default for a pipe' },
      text: { help: 'print the text on the screen; signs that cannot be read are \u{fffd}' },
    },
    load: () => import('./screenshot.ts'),
  },
  type: {
    summary: 'type a text on the keyboard of a server',
    usage: 'SERVER [TEXT | -]',
    words: [1, 2],
    completes: server,
    options: { layout, enter: { help: 'press Enter after the text' } },
    notes: 'Without TEXT, or with -, it types its input: oriel type web-1 <answers.txt',
    load: () => import('./type.ts'),
  },
  press: {
    summary: 'press keys of the keyboard of a server',
    usage: 'SERVER KEY…',
    words: [2, Number.POSITIVE_INFINITY],
    completes: server,
    options: {},
    notes: 'KEY is a name such as Escape, F12 or ArrowUp, a character, or a combination such as Control+Alt+Delete.',
    load: () => import('./press.ts'),
  },
  wait: {
    summary: 'wait until the screen shows a text',
    usage: 'SERVER',
    words: [1, 1],
    completes: server,
    options: {
      text: { value: 'REGEX', help: 'until it shows this; ^ and $ match at each line' },
      still: { value: 'SECONDS', help: 'or until it has not changed for so long' },
      timeout: patience,
    },
    notes: 'Prints what it found. If that does not come in time, it prints the text on the screen and ends with 3.',
    load: () => import('./wait.ts'),
  },
  run: {
    summary: 'perform the steps of a script',
    usage: 'SERVER SCRIPT',
    words: [2, 2],
    completes: server,
    options: { timeout: patience, quiet: { help: 'do not print each step' } },
    notes:
      'One step a line: wait REGEX, still [SECONDS], type TEXT, type-env VARIABLE, press KEY…, pause SECONDS,\n' +
      'screenshot FILE, timeout SECONDS, layout LAYOUT. # starts a comment. A script - is read from stdin.',
    load: () => import('./run.ts'),
  },
  mcp: {
    summary: 'serve the consoles to an MCP client on stdio',
    usage: '',
    words: [0, 0],
    options: { 'read-only': { help: 'offer no tool that sends input to a machine' } },
    notes:
      'An MCP client, such as an agent, starts it. It ends when the client closes stdin, and closes all consoles then.',
    load: () => import('./mcp.ts'),
  },
  sessions: {
    summary: 'list the open sessions, or end one',
    usage: '[list | end ID]',
    words: [0, 2],
    completes: [['list', 'end']],
    options: {
      server: { value: 'SERVER', help: 'only sessions of this server' },
      ended: { help: 'list sessions that have ended' },
    },
    notes: "Needs Oriel's API; Nova has no list of sessions.",
    load: () => import('./sessions.ts'),
  },
  doctor: {
    summary: 'check everything up to the consoles, and name what to fix',
    usage: '[SERVER]',
    words: [0, 1],
    completes: server,
    options: {
      type: { ...type.type, help: `${type.type.help}; default all that the server has` },
      idle: { value: 'SECONDS', help: 'also keep each console open without traffic for so long' },
      timeout: { value: 'SECONDS', help: 'how long to wait for an answer; default 20' },
    },
    notes:
      'Without SERVER it takes one that is ACTIVE. It opens a console of each type without sending input, and closes it.\n' +
      'It ends with 6 if a check failed.',
    load: () => import('./doctor.ts'),
  },
  completion: {
    summary: 'print the completion of a shell',
    usage: 'bash | zsh | fish',
    words: [1, 1],
    completes: [['bash', 'zsh', 'fish']],
    options: {},
    notes: 'bash and zsh: source <(oriel completion bash). fish: oriel completion fish | source.',
    load: () => import('./completion.ts'),
  },
} as const satisfies Record<string, Command>

export type CommandName = keyof typeof commands
export const commandNames = Object.keys(commands) as CommandName[]

/** Returns the command with this name, or `undefined`. */
export const commandOf = (name: string): Command | undefined =>
  Object.hasOwn(commands, name) ? commands[name as CommandName] : undefined
