/**
 * Checks that the guest behind a VNC port is the instance that the token is for. Another guest can reuse a port while the
 * token is still valid, and connect info over REST does not reveal that. QEMU puts the guest's name into the desktop's name:
 * `QEMU (name)`.
 */

/** The names under which a hypervisor may show an instance. */
export interface InstanceNames {
  readonly names: readonly string[]
  /** Which further name could not be looked up, and why. Added to the log if no name matches. */
  readonly missing?: string | undefined
}

/** The maximum length of a name in the log. */
const SHOWN_CHARACTERS = 200

/** Extracts the guest's name from the desktop's name. Returns `undefined` if that does not have QEMU's format. */
export function guestName(desktopName: string): string | undefined {
  return /^QEMU \((.*)\)$/s.exec(desktopName)?.[1]
}

/** Replaced with each name of the instance in the configured name of a desktop. */
const PLACEHOLDER = '{instance}'

/** Whether a desktop's configured name can be compared only with the instance's names. */
export const namesInstance = (desktop: string | undefined): boolean => desktop?.includes(PLACEHOLDER) ?? true

/**
 * Returns the reason why the desktop's name does not match the instance, or `undefined` if it matches.
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
