import { existsSync } from 'node:fs'
import { consoleTypes, openableConsoleTypes } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { readPageQuery } from '../src/pages/page-query.ts'
import { settingsOf } from '../src/pages/settings.ts'

describe('readPageQuery', () => {
  it('defaults to fitting, reconnecting and input', () => {
    expect(readPageQuery('http://h/vnc.html')).toEqual({
      name: '',
      detail: '',
      viewOnly: false,
      scale: 'fit',
      reconnect: true,
    })
  })

  it("splits Horizon's title into name and id", () => {
    const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
    expect(readPageQuery(`http://h/?title=web (blue)(${id})`)).toMatchObject({ name: 'web (blue)', detail: id })
    expect(readPageQuery('http://h/?title=web (blue)')).toMatchObject({ name: 'web (blue)', detail: '' })
  })

  it.each([
    ['view_only=true&resize=off&reconnect=0', { viewOnly: true, scale: 'none', reconnect: false }],
    ['view_only=1&resize=remote&reconnect=true', { viewOnly: true, scale: 'remote', reconnect: true }],
    ['view_only=false&resize=scale&reconnect=', { viewOnly: false, scale: 'fit', reconnect: true }],
    ['view_only=0&resize=toString', { viewOnly: false, scale: 'fit' }],
  ])('reads %s', (query, expected) => {
    expect(readPageQuery(`http://h/vnc.html?${query}`)).toMatchObject(expected)
  })
})

describe('consoleTypes', () => {
  it.each(openableConsoleTypes)('name for %s a page that exists, or none', (type) => {
    const { page } = consoleTypes[type]
    expect(page === null || existsSync(new URL(`../src/pages/${page}`, import.meta.url))).toBe(true)
  })
})

describe('settingsOf', () => {
  const page = 'http://h:6080/console/'

  it('accepts a proxy without an API', () => {
    expect(settingsOf({ api_url: null }, page)).toEqual({ apiUrl: null, consoles: ['novnc'] })
  })

  it('keeps the console types that can be opened, noVNC first', () => {
    const consoles = ['serial', 'xvpvnc', 'spice-direct', 'novnc', 'rdp-html5', 'telepathy']
    expect(settingsOf({ api_url: 'http://h:8774', consoles }, page)).toEqual({
      apiUrl: 'http://h:8774',
      consoles: ['novnc', 'spice-direct', 'serial'],
    })
  })

  it('resolves the address of the API against the page', () => {
    expect(settingsOf({ api_url: './' }, page).apiUrl).toBe('http://h:6080/console')
    expect(settingsOf({ api_url: '/' }, page).apiUrl).toBe('http://h:6080')
  })

  it('accepts the endpoint of the compute service, which ends with the version', () => {
    expect(settingsOf({ api_url: 'https://h/v2.1' }, page).apiUrl).toBe('https://h')
    expect(settingsOf({ api_url: 'https://h/compute/v2.1/' }, page).apiUrl).toBe('https://h/compute')
    expect(settingsOf({ api_url: 'https://h/v2' }, page).apiUrl).toBe('https://h')
    expect(settingsOf({ api_url: 'https://h/tv2.1' }, page).apiUrl).toBe('https://h/tv2.1')
  })
})
