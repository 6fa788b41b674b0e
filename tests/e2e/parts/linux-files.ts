/** The kernel and the initramfs of {@link startLinux}, from the Debian packages that `tests/install-debian-packages` unpacks. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Requirement, requirement } from '@oriel/testkit'
import { type CpioFile, cpio } from './cpio.ts'
import { CONTROL_LOOP } from './guest-control.ts'

/** Where `tests/install-debian-packages` unpacks packages. */
export const unpacked = process.env.ORIEL_TEST_PARTS ?? '/usr/local/share/oriel-test-parts'
const KEYMAPS = 'usr/share/keymaps'
/** PSF fonts, gzipped, of `console-setup-linux`. */
export const FONTS = join(unpacked, 'usr/share/consolefonts')
/** Makes console keymaps of xkb layouts, of `console-setup`. */
export const CKBCOMP = join(unpacked, 'usr/bin/ckbcomp')
const programs = ['bin/loadkeys', 'bin/setfont', 'bin/dumpkeys']

/** What {@link startLinux} needs, besides QEMU. */
export function requiresLinux(): Requirement {
  const complete = [
    'busybox-static',
    'console-data',
    'console-setup',
    'console-setup-linux',
    'kbd',
    'linux-image-cloud-amd64',
    'ovmf',
  ].every((name) => existsSync(join(unpacked, 'unpacked', name)))
  return requirement("Linux's kernel, BusyBox and OVMF", complete, 'run tests/install-debian-packages')
}

/** Returns the path of the kernel. */
export function kernelPath(): string {
  const boot = join(unpacked, 'boot')
  const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'))
  return join(boot, kernel!)
}

/**
 * Makes an initramfs: BusyBox, `loadkeys` and `setfont` of kbd, all keymaps of `console-data`, and the console fonts.
 * Its `/init` reads the words of {@link initScript} from the kernel's command line.
 */
export async function initramfs(fonts: readonly string[], files: readonly CpioFile[]): Promise<Buffer> {
  return cpio(
    [
      { path: 'init', content: initScript, mode: 0o755 },
      { path: 'etc/passwd', content: 'root::0:0:root:/root:/bin/sh\n' },
      { path: 'etc/group', content: 'root:x:0:\n' },
      { path: 'etc/profile', content: "PS1='guest# '\n" },
      await program('bin/busybox'),
      ...(await Promise.all(programs.map(program))),
      ...(await libraries(programs.map((path) => join(unpacked, path)))),
      ...(await keymaps()),
      ...(await Promise.all(fonts.map(font))),
      { path: 'install', content: INSTALLER, mode: 0o755 },
      ...files,
    ],
    ['dev', 'proc', 'sys', 'tmp', 'root', 'usr/bin'],
  )
}

const program = async (path: string) => ({ path, content: await readFile(join(unpacked, path)), mode: 0o755 })

const font = async (name: string) => ({
  path: `usr/share/consolefonts/${name}.psf.gz`,
  content: await readFile(join(FONTS, `${name}.psf.gz`)),
})

async function keymaps(): Promise<CpioFile[]> {
  const folder = join(unpacked, KEYMAPS)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const maps = names.filter((name) => /^(?:i386|include)\/.*\.gz$/.test(name))
  return Promise.all(
    maps.map(async (name) => ({ path: `${KEYMAPS}/${name}`, content: await readFile(join(folder, name)) })),
  )
}

/** Returns the shared libraries of programs of this machine. */
export async function libraries(files: readonly string[]): Promise<CpioFile[]> {
  const { stdout } = await promisify(execFile)('ldd', files)
  const paths = new Set([...stdout.matchAll(/(\/lib\S*) \(0x/g)].map(([, path]) => path!))
  return Promise.all(
    [...paths].map(async (path) => ({ path: path.slice(1), content: await readFile(path), mode: 0o755 })),
  )
}

/**
 * `keymap=NAME` and `font=NAME` are loaded before the shell starts. `tty1=record` appends the input of tty1 to
 * `/tmp/typed` instead of running a shell. ttyS0 is a shell. ttyS1 runs lines, for `run`.
 *
 * The shell of ttyS0 gets its controlling terminal by opening it: `cttyhack` would take tty1, which the other shell takes as well.
 */
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root TERM=linux ENV=/etc/profile
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
mkdir /dev/pts; mount -t devpts devpts /dev/pts
argument() { sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }
hostname guest
cd /root
echo 1 > /proc/sys/kernel/printk
trap '' INT
font=$(argument font); [ -z "$font" ] || setfont -C /dev/tty1 "$font"
keymap=$(argument keymap); [ -z "$keymap" ] || loadkeys -q -C /dev/tty1 "$keymap"
if [ "$(argument tty1)" = record ]; then
  # Before the first answer on ttyS1, and kept open, so that no key after it is lost or changed.
  exec 3<>/dev/tty1
  stty -F /dev/tty1 raw -echo
  : > /tmp/typed
fi
stty -F /dev/ttyS1 raw -echo
(${CONTROL_LOOP}) </dev/ttyS1 >/dev/ttyS1 &
while :; do TERM=vt220 setsid sh -c 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1'; sleep 1; done &
if [ "$(argument tty1)" = install ]; then setsid cttyhack sh -c 'exec /install </dev/tty1 >/dev/tty1 2>&1'; fi
if [ "$(argument tty1)" = record ]; then
  echo ready >/dev/tty1
  while :; do cat /dev/tty1 >> /tmp/typed; done
fi
while :; do setsid cttyhack sh -c 'exec sh -i </dev/tty1 >/dev/tty1 2>&1'; sleep 1; done
`

/** Asks as the installer of a system does, gives the guest a name and its root a password, and lets people sign in. */
const INSTALLER = `#!/bin/sh
clear
printf 'Name of this machine: '; read -r name
printf 'Password of root: '; stty -echo; read -r password; stty echo; echo
printf 'Erase the disk? [y/N] '; read -r answer
[ "$answer" = y ] || exit
hostname "$name"
echo "root:$(mkpasswd "$password"):0:0:root:/root:/bin/sh" >/etc/passwd
exec getty 0 tty1
`
