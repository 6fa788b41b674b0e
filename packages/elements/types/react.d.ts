/** The elements in the JSX of React 19, which sets properties and listens to events by the names of both. */
import type { DetailedHTMLProps, HTMLAttributes } from 'react'
import type { OrielElements, Settable } from './properties.js'

type Listeners<Events> = {
  [Name in keyof Events & string as `on${Name}`]?: ((event: Events[Name]) => void) | undefined
}

type Props<Tag extends keyof OrielElements> = DetailedHTMLProps<
  HTMLAttributes<OrielElements[Tag]['element']>,
  OrielElements[Tag]['element']
> &
  Settable<Tag> &
  Listeners<OrielElements[Tag]['events']>

type Elements = { [Tag in keyof OrielElements]: Props<Tag> }

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements extends Elements {}
  }
}
