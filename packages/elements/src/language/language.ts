/** The languages with a complete catalogue, by their codes in BCP 47. */
export const languages = ['en', 'de', 'fr', 'es', 'ja'] as const

export type Language = (typeof languages)[number]
