/**
 * A small Linux in a real QEMU: Debian's cloud kernel with an initramfs of BusyBox and kbd, on a VGA screen.
 *
 * @example
 * await using guest = await startLinux({ keymap: 'de', tty1: 'record' })
 * await guest.sendKey('y')
 * expect(await guest.run('cat /tmp/typed')).toBe('z')
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type QemuGuest, type QemuOptions, startQemu, temporaryFolder } from '@oriel/testkit'
import type { CpioFile } from './cpio.ts'
import { type GrubScreen, grubDisks } from './grub-disk.ts'
import { type GuestControl, openControl } from './guest-control.ts'
import { initramfs, kernelPath } from './linux-files.ts'

export { CKBCOMP, requiresLinux } from './linux-files.ts'

export interface LinuxOptions extends Partial<Omit<QemuOptions, 'firmware' | 'paused'>> {
  /**
   * How the kernel starts. Default: `direct`, QEMU loads it, in text mode (720×400, 80×25).
   * The other values have GRUB load it, see {@link GrubScreen}; that takes 10 s more.
   */
  readonly boot?: 'direct' | GrubScreen
  /** Whether GRUB shows its menu, {@link GRUB_ENTRIES}, until a key is pressed. Default: false. */
  readonly menu?: boolean
  /** A keymap of Debian's `console-data`, as for `loadkeys`: `de`, `fr`, `jp106`, … Default: the kernel's, US. */
  readonly keymap?: string
  /** A font of `console-setup-linux` for `setfont`, without `.psf.gz`: `Lat15-Fixed16`, … Default: the kernel's. */
  readonly font?: string
  /** Fonts to have in the guest besides `font`, for `run('setfont …')`. */
  readonly fonts?: readonly string[]
  /**
   * Default: `shell`, BusyBox's with the prompt `guest# ` on tty1. `record`: the terminal is raw, shows `ready`, and
   * appends what is typed to `/tmp/typed`. `install`: an installer asks
   * three questions, and people may sign in.
   */
  readonly tty1?: 'shell' | 'record' | 'install'
  /** More files in the guest. */
  readonly files?: readonly CpioFile[]
}

export interface LinuxGuest extends QemuGuest, GuestControl {}

const memoryMib = 160

/**
 * Starts the guest. Resolves when QEMU runs; `run('true')` resolves when Linux has started.
 * `serial: true` offers a shell on COM1. COM2 belongs to {@link LinuxGuest.run}.
 */
export async function startLinux(options: LinuxOptions = {}): Promise<LinuxGuest> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const control = join(folder.path, 'control')
  const guest = scope.use(
    await startQemu({
      ...options,
      name: options.name ?? 'linux',
      args: [
        ...['-m', String(memoryMib)],
        ...(options.serial ? [] : ['-serial', 'null']),
        ...['-chardev', `socket,id=control,path=${control},server=on,wait=off`, '-serial', 'chardev:control'],
        ...(await bootArguments(options, folder.path)),
        ...(options.args ?? []),
      ],
    }),
  )
  const { run } = await openControl(control, scope)
  const rest = scope.move()
  return { ...guest, run, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

async function bootArguments(options: LinuxOptions, folder: string): Promise<string[]> {
  const { boot = 'direct', font, fonts = [] } = options
  const initrd = await initramfs([...new Set([...(font ? [font] : []), ...fonts])], options.files ?? [])
  const linux = { kernel: kernelPath(), initrd, commandLine: commandLine(options) }
  if (boot !== 'direct') return grubDisks(folder, { screen: boot, menu: options.menu ?? false, ...linux })
  await writeFile(join(folder, 'initrd'), initrd)
  const files = ['-kernel', linux.kernel, '-initrd', join(folder, 'initrd')]
  return [...files, '-append', linux.commandLine, '-boot', 'menu=off']
}

function commandLine({ keymap, font, tty1 }: LinuxOptions): string {
  const words = { keymap, font, tty1 }
  const given = Object.entries(words).filter(([, value]) => value !== undefined)
  return ['quiet', 'console=tty0', 'mitigations=off', ...given.map(([name, value]) => `${name}=${value}`)].join(' ')
}
