/** The layouts that `@oriel/console` offers, and where each comes from. */

export interface XkbSource {
  readonly layout: string
  readonly variant?: string
}

/** Layouts of Debian's `xkb-data`: those of X, Wayland, and of the console as `console-setup` configures it. */
export const xkbLayouts: Readonly<Record<string, XkbSource>> = {
  be: { layout: 'be' },
  br: { layout: 'br' },
  ca: { layout: 'ca' },
  ch: { layout: 'ch' },
  'ch-fr': { layout: 'ch', variant: 'fr' },
  cz: { layout: 'cz' },
  de: { layout: 'de' },
  'de-nodeadkeys': { layout: 'de', variant: 'nodeadkeys' },
  dk: { layout: 'dk' },
  es: { layout: 'es' },
  fi: { layout: 'fi' },
  fr: { layout: 'fr' },
  gb: { layout: 'gb' },
  gr: { layout: 'gr' },
  hu: { layout: 'hu' },
  il: { layout: 'il' },
  it: { layout: 'it' },
  jp: { layout: 'jp' },
  latam: { layout: 'latam' },
  nl: { layout: 'nl' },
  no: { layout: 'no' },
  pl: { layout: 'pl' },
  pt: { layout: 'pt' },
  ro: { layout: 'ro' },
  ru: { layout: 'ru' },
  se: { layout: 'se' },
  sk: { layout: 'sk' },
  tr: { layout: 'tr' },
  ua: { layout: 'ua' },
  us: { layout: 'us' },
  'us-intl': { layout: 'us', variant: 'intl' },
}

/** Keymaps of Debian's `console-data`, for `loadkeys`, that differ from the xkb layout of their country. */
export const consoleKeymaps: readonly string[] = ['de', 'de-latin1', 'es', 'fr', 'fr-latin9', 'it', 'jp106', 'uk']

/** Labels of {@link consoleKeymaps}; xkb has its own. */
export const consoleLabel = (keymap: string) => `Linux console, loadkeys ${keymap}`
