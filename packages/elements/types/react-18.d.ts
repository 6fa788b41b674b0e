/**
 * The elements in the JSX of React 18, which writes attributes only: set `mint` and add listeners through a `ref`, and write
 * `class` in place of `className`.
 */
import type { DetailedHTMLProps, HTMLAttributes } from 'react'
import type { Attributes, OrielElements } from './properties.js'

type Props<Element> = Omit<DetailedHTMLProps<HTMLAttributes<Element>, Element>, 'className'> &
  Attributes & { class?: string | undefined }

type Elements = { [Tag in keyof OrielElements]: Props<OrielElements[Tag]['element']> }

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements extends Elements {}
  }
}
