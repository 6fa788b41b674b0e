/** The elements in the templates of Vue 3. Name them to the compiler too: `isCustomElement: (tag) => tag.startsWith('oriel-')`. */
import type { HTMLAttributes, PublicProps } from 'vue'
import type { OrielElements, Settable } from './properties.js'

type Listeners<Events> = {
  [Name in keyof Events & string as `on${Capitalize<Name>}`]?: ((event: Events[Name]) => void) | undefined
}

type Component<Tag extends keyof OrielElements> = new () => {
  $props: HTMLAttributes & PublicProps & Settable<Tag> & Listeners<OrielElements[Tag]['events']>
}

type Components = { [Tag in keyof OrielElements]: Component<Tag> }

declare module 'vue' {
  interface GlobalComponents extends Components {}
}
