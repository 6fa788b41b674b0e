/** How long a time span in the configuration may be: a timer of Node that is set for longer ends at once. */

export const MAX_TIMER_MS = 2_147_483_647
export const MAX_TIMER_SECONDS = 2_147_483
