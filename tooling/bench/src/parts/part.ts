/** What a part of the bench says to whoever forked it: one message when it listens, and answers when asked. */
export interface Listening {
  readonly ports: Readonly<Record<string, number>>
}

export const listening = (ports: Listening['ports']): void => void process.send?.({ ports })

/** Ends this process with the one that forked it. */
export const endWithParent = (): void => void process.on('disconnect', () => process.exit(0))
