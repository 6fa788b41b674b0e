/** `@oriel/elements/console`: defines `<oriel-console>`, which loads the element for a kind of console when it is needed. */
export type * from './common.ts'
export type { ConsoleKind } from './console/kind.ts'
export { kindOf } from './console/kind.ts'
export type { TypingOptions } from './console/shown.ts'
export { OrielConsole, type OrielConsoleEventMap, type ScreenSize } from './oriel-console.ts'
