/** A serial port with a shell: bash on a pseudo-terminal of 80 columns, for each connection a new one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { requirement } from '@oriel/testkit'

export const PROMPT = 'shell# '

/** `script` of util-linux gives a program a pseudo-terminal. */
export const requiresShell = () =>
  requirement('script and bash', existsSync('/usr/bin/script') && existsSync('/bin/bash'), 'apt install bsdutils bash')

export async function startShellPort() {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const shell = spawn('/usr/bin/script', ['-qfec', '/bin/bash --norc --noprofile -i', '/dev/null'], {
      env: { PATH: process.env.PATH, PS1: PROMPT, TERM: 'xterm-256color', HISTFILE: '', LC_ALL: 'C.UTF-8' },
    })
    sockets.add(socket)
    socket.pipe(shell.stdin)
    shell.stdout.pipe(socket)
    shell.stdin.on('error', () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      shell.kill('SIGHUP')
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
