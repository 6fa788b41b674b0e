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

/** Why the desktop's name is not that of the instance; `undefined` when it is. */
export function nameObjection(desktopName: string, { names, missing }: InstanceNames): string | undefined {
  const guest = guestName(desktopName)
  if (guest !== undefined && names.includes(guest)) return undefined
  const said = guest === undefined ? `the desktop is called ${shown(desktopName)}` : `the guest is ${shown(guest)}`
  const wanted = `the instance is ${names.map(shown).join(' or ')}`
  return [said, wanted, ...(missing === undefined ? [] : [missing])].join('; ')
}

const shown = (name: string) => JSON.stringify(name.slice(0, SHOWN_CHARACTERS))
