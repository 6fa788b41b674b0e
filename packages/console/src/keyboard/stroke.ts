/** One change of one key: what a message with a QEMU extended key event carries. */
export interface KeyStroke {
  /** Whether the key goes down. */
  readonly down: boolean
  /**
   * The key's code of XT set 1. A code with the prefix 0xe0 has bit 0x80 in place of the prefix: Escape is 0x01, the right
   * Control key, `e0 1d`, is 0x9d. 0 for a character without a key, which can be sent as a keysym only.
   */
  readonly scancode: number
  /** The X11 keysym, for servers without extended key events. */
  readonly keysym: number
}
