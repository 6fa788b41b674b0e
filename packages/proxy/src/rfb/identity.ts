/**
 * Whether the guest behind a VNC port is the instance that the token is for. A port can change hands while a token is
 * still good, and connect info over REST cannot tell; QEMU names its guest in the desktop's name, `QEMU (name)`.
 */

/** The names under which a hypervisor may show an instance. */
export interface InstanceNames {
  readonly names: readonly string[]
  /** What the log adds when none of them fits: which name could not be learnt, and why. */
  readonly missing?: string | undefined
}

/** How much of a name is logged. */
const SHOWN_CHARACTERS = 200

/** The guest's own name out of the desktop's; `undefined` when that is not QEMU's. */
export function guestName(desktopName: string): string | undefined {
  return /^QEMU \((.*)\)$/s.exec(desktopName)?.[1]
}

/** Stands for each name of the instance in the configured name of a desktop. */
const PLACEHOLDER = '{instance}'

/** Whether a desktop's configured name can be compared only with the instance's names. */
export const namesInstance = (desktop: string | undefined): boolean => desktop?.includes(PLACEHOLDER) ?? true

/**
 * Explains why the desktop's name is not that of the instance. Returns `undefined` if it is.
 * @param desktop the configured name of the desktop. Default: QEMU's
 */
export function nameObjection(desktopName: string, names: InstanceNames, desktop?: string): string | undefined {
  return desktop === undefined ? qemuObjection(desktopName, names) : objectionTo(desktopName, names, desktop)
}

function qemuObjection(desktopName: string, { names, missing }: InstanceNames): string | undefined {
  const guest = guestName(desktopName)
  if (guest !== undefined && names.includes(guest)) return undefined
  const found = guest === undefined ? calls(desktopName) : `the guest is ${shown(guest)}`
  const wanted = `the instance is ${names.map(shown).join(' or ')}`
  return [found, wanted, ...(missing === undefined ? [] : [missing])].join('; ')
}

function objectionTo(desktopName: string, { names, missing }: InstanceNames, desktop: string): string | undefined {
  const wanted = namesInstance(desktop) ? names.map((name) => desktop.replaceAll(PLACEHOLDER, () => name)) : [desktop]
  if (wanted.includes(desktopName)) return undefined
  const must = `hypervisor.hosts names it ${wanted.map(shown).join(' or ')}`
  return [calls(desktopName), must, ...(missing === undefined ? [] : [missing])].join('; ')
}

const calls = (desktopName: string) => `the desktop is called ${shown(desktopName)}`
const shown = (name: string) => JSON.stringify(name.slice(0, SHOWN_CHARACTERS))
