/** The properties of the elements that a framework's markup can set, and their events. */
import type { OrielConsole, OrielConsoleEventMap } from '@oriel/elements/console'
import type { OrielSerial, OrielSerialEventMap } from '@oriel/elements/serial'
import type { OrielSpice, OrielSpiceEventMap } from '@oriel/elements/spice'
import type { OrielVnc, OrielVncEventMap } from '@oriel/elements/vnc'

type Shared = 'url' | 'path' | 'viewOnly' | 'reconnect' | 'mint'

/** By tag: the element, the properties that markup can set, and the events. */
export interface OrielElements {
  'oriel-console': {
    element: OrielConsole
    settable: Exclude<Shared, 'path'> | 'kind' | 'scale' | 'toolbar'
    events: OrielConsoleEventMap
  }
  'oriel-vnc': { element: OrielVnc; settable: Shared | 'scale'; events: OrielVncEventMap }
  'oriel-serial': { element: OrielSerial; settable: Shared | 'screenReader'; events: OrielSerialEventMap }
  'oriel-spice': { element: OrielSpice; settable: Shared | 'scale'; events: OrielSpiceEventMap }
}

/** An element's settable properties, all of them optional. */
export type Settable<Tag extends keyof OrielElements> = {
  [Name in OrielElements[Tag]['settable'] & keyof OrielElements[Tag]['element']]?:
    | OrielElements[Tag]['element'][Name]
    | undefined
}

/** Attributes of HTML, as React 18 and plain markup write them. */
export interface Attributes {
  url?: string | undefined
  path?: string | undefined
  /** An empty string sets it. React 18 would write `false` as an attribute, which sets it too. */
  'view-only'?: '' | undefined
  reconnect?: '' | undefined
  'screen-reader'?: '' | undefined
  scale?: string | undefined
  /** Of `<oriel-console>`. */
  kind?: string | undefined
  toolbar?: string | undefined
}
