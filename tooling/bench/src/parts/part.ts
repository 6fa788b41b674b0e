/** The messages from a part of the bench to its parent process: one when it listens, and an answer to each request. */
export interface Listening {
  readonly ports: Readonly<Record<string, number>>
}

export const listening = (ports: Listening['ports']): void => void process.send?.({ ports })

/** Ends this process with the one that forked it. */
export const endWithParent = (): void => void process.on('disconnect', () => process.exit(0))
