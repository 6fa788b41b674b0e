/** Makes the disks of a guest that GRUB starts: its boot code on the first, its menu and a kernel on the second. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cpio } from './cpio.ts'

/**
 * `grub-text`: the menu in text mode, 80×25, as is Linux after it. `grub-graphics`: the menu by `gfxterm` with
 * `unicode.pf2` on 1024×768, and Linux with a framebuffer console, of 128×48 characters of 8×16.
 */
export type GrubScreen = 'grub-text' | 'grub-graphics'

export interface GrubOptions {
  readonly screen: GrubScreen
  /** Whether GRUB waits at its menu. Otherwise it starts the first entry, without drawing the menu. */
  readonly menu: boolean
  /** The path of the kernel. */
  readonly kernel: string
  readonly initrd: Uint8Array
  readonly commandLine: string
}

/** The titles of the menu. */
export const GRUB_ENTRIES = ['Oriel test guest', 'Oriel test guest (recovery mode)', 'Reboot'] as const
/** GRUB's modules and font, of the Debian packages `grub-pc-bin` and `grub-common`. */
const MODULES = '/usr/lib/grub/i386-pc'
export const GRUB_FONT = '/usr/share/grub/unicode.pf2'

const shared = ['biosdisk', 'newc', 'normal', 'linux', 'reboot']
/**
 * With QEMU's video memory driven by `video_bochs` rather than by the VGA BIOS, GRUB hands Linux a plain framebuffer, for
 * which the cloud kernel has a driver (efifb). It has none for a VESA mode.
 */
const graphics = ['video_bochs', 'gfxterm', 'font']

/** Writes the disks into `folder`. Returns QEMU's arguments. */
export async function grubDisks(folder: string, options: GrubOptions): Promise<string[]> {
  const [boot, files] = [join(folder, 'boot.img'), join(folder, 'files.img')]
  await writeFile(boot, await bootDisk(folder, options.screen))
  await writeFile(files, wholeSectors(await filesDisk(options)))
  const drive = (path: string) => ['-drive', `file=${path},format=raw,if=ide`]
  return [...drive(boot), ...drive(files), '-boot', 'order=c,menu=off']
}

/** GRUB's boot sector loads the core image from the sectors that follow it. */
async function bootDisk(folder: string, screen: GrubScreen): Promise<Buffer> {
  const core = join(folder, 'core.img')
  const modules = [...shared, ...(screen === 'grub-graphics' ? graphics : [])]
  const options = ['--format=i386-pc', `--directory=${MODULES}`, `--output=${core}`, '--prefix=(hd1)/']
  await promisify(execFile)('grub-mkimage', [...options, ...modules])
  return wholeSectors(Buffer.concat([await readFile(join(MODULES, 'boot.img')), await readFile(core)]))
}

async function filesDisk(options: GrubOptions): Promise<Buffer> {
  const { screen, kernel, initrd } = options
  return cpio([
    { path: 'grub.cfg', content: configuration(options) },
    { path: 'vmlinuz', content: await readFile(kernel) },
    { path: 'initrd', content: initrd },
    ...(screen === 'grub-graphics' ? [{ path: 'unicode.pf2', content: await readFile(GRUB_FONT) }] : []),
  ])
}

function configuration({ screen, menu, commandLine }: GrubOptions): string {
  const [normal, recovery, reboot] = GRUB_ENTRIES
  const linux = (title: string, words: string) => `menuentry '${title}' {\nlinux /vmlinuz ${words}\ninitrd /initrd\n}\n`
  const display =
    screen === 'grub-graphics'
      ? 'loadfont /unicode.pf2\nset gfxmode=1024x768\nset gfxpayload=keep\nterminal_output gfxterm\n'
      : 'set gfxpayload=text\nterminal_output console\n'
  return [
    `set timeout=${menu ? -1 : 0}\n${display}`,
    linux(normal, commandLine),
    linux(recovery, `${commandLine} single`),
    `menuentry '${reboot}' {\nreboot\n}\n`,
  ].join('')
}

/** Pads to whole sectors, and to a size of which QEMU makes a disk with a geometry. */
function wholeSectors(bytes: Buffer): Buffer {
  const size = Math.max(Math.ceil(bytes.length / 512) * 512, 1 << 20)
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length)])
}
