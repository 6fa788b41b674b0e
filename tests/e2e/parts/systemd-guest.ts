/**
 * A small Linux in a real QEMU with systemd as its first process: Debian's cloud kernel, and an initramfs with systemd and
 * Node of this machine.
 *
 * @example
 * await using guest = await startSystemd({ files: [{ path: 'etc/systemd/system/a.service', content: unit }] })
 * await guest.run('systemctl start a.service')
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type QemuGuest, type Requirement, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { type CpioFile, cpio } from './cpio.ts'
import { CONTROL_LOOP, type GuestControl, openControl } from './guest-control.ts'
import { kernelPath, libraries, requiresLinux, unpacked } from './linux-files.ts'

export interface SystemdGuest extends QemuGuest, GuestControl {
  /** Returns what the kernel and systemd wrote to the console. */
  log(): Promise<string>
}

export interface SystemdOptions {
  /** More files in the guest. */
  readonly files: readonly CpioFile[]
}

/** Half of it is the limit of the file system in memory. QEMU allocates what the guest uses. */
const memoryMib = 1536

export function requiresSystemd(): Requirement {
  const [parts, linux] = [requires('qemu', 'systemd'), requiresLinux()]
  return { skip: parts.skip || linux.skip, reason: `${parts.reason}${linux.reason}` }
}

/** Starts the guest. Resolves when QEMU runs; `run('true')` resolves when systemd has reached multi-user.target. */
export async function startSystemd({ files }: SystemdOptions): Promise<SystemdGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const file = (name: string) => join(folder.path, name)
  await writeFile(file('initrd'), await initramfs(files))
  const guest = scope.use(
    await startQemu({
      name: 'systemd',
      vnc: false,
      args: [
        // A processor without AVX, which QEMU emulates slowly, and without protection keys, with which V8 crashes in it.
        ...['-m', String(memoryMib), '-cpu', 'Nehalem', '-no-reboot'],
        ...['-serial', `file:${file('log')}`],
        ...['-chardev', `socket,id=control,path=${file('control')},server=on,wait=off`, '-serial', 'chardev:control'],
        ...['-kernel', kernelPath(), '-initrd', file('initrd'), '-boot', 'menu=off'],
        ...['-append', 'quiet console=ttyS0 mitigations=off panic=-1 systemd.unit=multi-user.target'],
      ],
    }),
  )
  const { run } = await openControl(file('control'), scope)
  const rest = scope.move()
  return { ...guest, run, log: () => readFile(file('log'), 'utf8'), [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Returns the files below `folder` of this machine as files below `path` in the guest, without source maps. */
export async function filesBelow(folder: string, path: string): Promise<CpioFile[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile() && !entry.name.endsWith('.map'))
  return Promise.all(
    files.map(async ({ parentPath, name }) => {
      const file = join(parentPath, name)
      return { path: join(path, relative(folder, file)), content: await readFile(file) }
    }),
  )
}

async function initramfs(files: readonly CpioFile[]): Promise<Buffer> {
  const programs = PROGRAMS.map((path) => `/${path}`)
  const copied = [...programs.map((path) => [path, path]), ['/bin/node', process.execPath]] as const
  return cpio(
    [
      { path: 'init', content: INIT, mode: 0o755 },
      ...(await Promise.all([
        executable('/bin/busybox', join(unpacked, 'bin/busybox')),
        ...copied.map(([path, from]) => executable(path!, from!)),
      ])),
      ...(await libraries(copied.map(([, from]) => from!))),
      ...(await Promise.all(UNITS.map((name) => plain(`/lib/systemd/system/${name}`)))),
      { path: 'etc/systemd/system/sysinit.target.d/journal.conf', content: '[Unit]\nWants=systemd-journald.service\n' },
      { path: 'etc/systemd/system/multi-user.target.d/control.conf', content: '[Unit]\nWants=control.service\n' },
      { path: 'etc/systemd/system/control.service', content: CONTROL_UNIT },
      { path: 'control', content: CONTROL },
      { path: 'etc/passwd', content: 'root::0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
      { path: 'etc/group', content: 'root:x:0:\nnogroup:x:65534:\n' },
      { path: 'etc/hosts', content: '127.0.0.1 localhost\n' },
      { path: 'etc/machine-id', content: `${'1'.repeat(32)}\n` },
      ...files,
    ],
    ['dev', 'proc', 'sys', 'run', 'root', 'usr', 'tmp', 'var/tmp', 'var/lib', 'var/log'],
  )
}

const plain = async (path: string) => ({ path: path.slice(1), content: await readFile(path) })
const executable = async (path: string, from: string) => ({ ...(await plain(from)), path: path.slice(1), mode: 0o755 })

const PROGRAMS = [
  'lib/systemd/systemd',
  'lib/systemd/systemd-journald',
  'lib/systemd/systemd-shutdown',
  'bin/systemctl',
  'bin/journalctl',
  'bin/systemd-notify',
]

const UNITS = [
  ...['basic.target', 'sysinit.target', 'multi-user.target', 'local-fs.target', 'local-fs-pre.target', 'swap.target'],
  ...['sockets.target', 'paths.target', 'slices.target', 'timers.target', 'network.target', 'network-online.target'],
  ...['shutdown.target', 'umount.target', 'final.target'],
  ...['systemd-journald.service', 'systemd-journald.socket', 'systemd-journald-dev-log.socket'],
]

/** `/usr` leads to the folders of `/`, where the archive has all files. */
const INIT = `#!/bin/busybox sh
/bin/busybox ln -s bin /sbin
/bin/busybox ln -s ../bin ../lib /usr/
/bin/busybox --install -s /bin
chmod 1777 /tmp /var/tmp
exec /lib/systemd/systemd
`

const CONTROL_UNIT = `[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh /control
`

const CONTROL = `stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
${CONTROL_LOOP}
`
