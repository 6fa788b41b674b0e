/** The catalogues of the languages, and how a page chooses one. */
import { closeReasons, openableConsoleTypes, refusals } from '@oriel/contract'
import { afterEach, describe, expect, it } from 'vitest'
import { describeEnd, finalWords, localEnd, sentenceOf } from '../src/console-end.ts'
import { type Catalogue, statuses } from '../src/language/catalogue.ts'
import { english } from '../src/language/english.ts'
import { languages } from '../src/language/language.ts'
import { catalogues, chooseLanguage, useLanguage } from '../src/language/load.ts'
import { t } from '../src/language/texts/list.ts'
import { currentLanguage, fill, type Message, speak, translation } from '../src/language/translate.ts'

afterEach(() => speak('en', {}))

const ends = Object.entries(closeReasons).map(([name, { text }]) => [`end.${name}`, text] as const)
const refused = Object.entries(refusals).map(([name, { text }]) => [`refusal.${name}`, text] as const)
const watching = 'Another client has this console. Try again once it is free.'
const named = Object.fromEntries<Message>([
  ...ends,
  ...refused,
  ['refusal.in_use_watching', watching],
  ...statuses.map((status) => [`status.${status}`, status] as const),
])
/** Every message with its English. */
const source: Readonly<Record<string, Message>> = { ...english, ...named }

/** Texts that may be the same in English: names of keys, units, and words that languages share. */
const sameInEnglish =
  /^(cap\..*|key\..*|bar\.ctrl-alt-del|html\.ctrl-alt-del|console|console\.spice-html5|title\.machine|session\.(seconds|minutes|hours|terminal)|html\.(status|token)|list\.(status|machines|sessions)|invite\.minutes)$/

const formsOf = (message: Message) =>
  typeof message === 'string' ? [message] : Object.values<string>(message as never)
const placeholders = (text: string) =>
  [...new Set(text.match(/\{\w+\}|<\/?\w+>/g))].filter((one) => one !== '<i>' && one !== '</i>').sort()
const sentences = (text: string) => text.split(/(?<=[.?!])\s+|(?<=[。?？])/).filter((part) => part !== '').length

describe.each(Object.entries(catalogues))('the catalogue %s', (language, load) => {
  const read = async () => Object.entries(await load()) as [string, Message][]

  it('has every message, and no other', async () => {
    const optional = openableConsoleTypes.map((type) => `console.${type}`)
    const names = (await read()).map(([name]) => name).filter((name) => !optional.includes(name))
    expect(names.toSorted()).toEqual(Object.keys(source).toSorted())
  })

  it('has the placeholders and the marks of the English message', async () => {
    for (const [name, message] of await read()) {
      const wanted = source[name]
      if (wanted === undefined) continue
      expect(typeof message, name).toBe(typeof wanted)
      for (const form of formsOf(message))
        expect(placeholders(form), name).toEqual(placeholders(formsOf(wanted).at(-1)!))
    }
  })

  it('has every plural of its language', async () => {
    const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions()
    for (const [name, message] of await read())
      if (typeof message !== 'string') expect('one' in message, name).toBe(pluralCategories.includes('one'))
  })

  it('has no English text, except for words that the language shares', async () => {
    const untranslated = (await read()).filter(
      ([name, message]) => !sameInEnglish.test(name) && formsOf(message).includes(formsOf(source[name] ?? '')[0]!),
    )
    expect(untranslated.map(([name]) => name)).toEqual([])
  })

  // The card shows the first sentence as what happened, and the others as what to do.
  it('has as many sentences as English in each refusal', async () => {
    const messages = (await load()) as unknown as Readonly<Record<string, string>>
    for (const [name, text] of refused) expect(sentences(messages[name]!), name).toBe(sentences(text))
  })
})

describe('chooseLanguage', () => {
  it.each([
    [['de', 'en'], 'de'],
    [['de_DE'], 'de'],
    [['DE-at'], 'de'],
    [['zh-hans', 'de-CH', 'en'], 'de'],
    [[null, 'nl', 'en-GB', 'de'], 'en'],
    [['', 'constructor', 'deutsch', '../de'], 'en'],
    [[], 'en'],
  ])('chooses from %j the language %s', (wanted, language) => {
    expect(chooseLanguage(wanted)).toBe(language)
  })
})

describe('useLanguage', () => {
  const german = { ...({} as Catalogue), 'list.none': 'Keine.' }

  it('is English without a wait', () => {
    expect(useLanguage('en')).toBeUndefined()
  })

  it('speaks a language once it is loaded', async () => {
    const loaded = useLanguage('de', async () => german)
    expect(t('list.none')).toBe('No machine.')
    await loaded
    expect(t('list.none')).toBe('Keine.')
    expect(currentLanguage()).toBe('de')
    expect(useLanguage('de')).toBeUndefined()
  })

  it('loads once for two that wait, and drops a language that another replaced meanwhile', async () => {
    const loaded = Promise.withResolvers<Catalogue>()
    const first = useLanguage('de', () => loaded.promise)
    expect(useLanguage('de')).toBe(first)
    useLanguage('en')
    loaded.resolve(german)
    await first
    expect(currentLanguage()).toBe('en')
  })

  it('stays English if the language cannot be loaded, and does not wait for it again', async () => {
    await useLanguage('de', () => Promise.reject(new Error('offline')))
    expect(currentLanguage()).toBe('en')
    expect(useLanguage('de', async () => german)).toBeUndefined()
  })
})

describe('a text', () => {
  it('has the plural and the numbers of its language', () => {
    expect(t('list.machines', { count: 1 })).toBe('1 machine')
    expect(t('list.machines', { count: 1_200 })).toBe('1,200 machines')
    expect(fill({ one: '{count} Maschine', other: '{count} Maschinen' }, { count: 1_200 }, 'de')).toBe(
      '1.200 Maschinen',
    )
    expect(fill({ other: '{count} 台' }, { count: 1 }, 'ja')).toBe('1 台')
  })

  it('stays English where the language lacks it', () => {
    speak('de', { 'list.none': 'Keine.' })
    expect(t('list.off')).toBe('The machine is off. Its consoles open once it runs.')
    expect(t('list.machines', { count: 2 })).toBe('2 machines')
    expect(translation('status.ACTIVE')).toBeUndefined()
  })

  it('takes values with braces and dollars as they are', () => {
    expect(t('list.console-of', { console: '{name}', name: "$& $'" })).toBe("{name} of $& $'")
  })
})

describe('the end of a console', () => {
  it('is translated by its reason into the language of the page', async () => {
    speak('de', await catalogues.de())
    expect(sentenceOf(localEnd('bad_address'))).toBe('Dies ist nicht die Adresse einer Konsole.')
    const idle = describeEnd({ code: 4004, reason: closeReasons.idle.text, wasClean: true, opened: true })
    expect(sentenceOf(idle)).toBe('Die Konsole war zu lange unbenutzt.')
    const reason = `console_unreachable: ${refusals.console_unreachable.text}`
    expect(finalWords(describeEnd({ code: 4502, reason, wasClean: true, opened: false }))).toEqual({
      text: 'Die Konsole dieser Maschine ist nicht erreichbar.',
      advice: 'Läuft die Maschine?',
    })
    const taken = describeEnd({ code: 4010, reason: 'Bea took this console over.', wasClean: true, opened: true })
    expect(finalWords(taken).text).toBe('Bea hat diese Konsole übernommen.')
    const foreign = describeEnd({ code: 4999, reason: 'Gone for lunch', wasClean: true, opened: true })
    expect(sentenceOf(foreign)).toBe('Gone for lunch')
  })
})

it('lists English and each language that has a catalogue', () => {
  expect(languages).toEqual(['en', ...Object.keys(catalogues)])
})
