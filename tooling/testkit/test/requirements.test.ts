import { afterEach, expect, test, vi } from 'vitest'
import { requirement, requires } from '../src/index.ts'

afterEach(() => vi.unstubAllEnvs())

test('what is there is required silently', () => {
  vi.stubEnv('CI', 'true')
  expect(requirement('a shell', true, 'none')).toEqual({ skip: false, reason: '' })
})

test('outside of CI a suite is skipped by a name that says what lacks', () => {
  vi.stubEnv('CI', '')
  vi.stubEnv('ORIEL_CHROMIUM', '/nonexistent/chromium')
  expect(requires('chromium')).toEqual({
    skip: true,
    reason: ' (skipped without chromium: run tests/install-debian-packages)',
  })
})

test('in CI what lacks is an error that names the remedy', () => {
  vi.stubEnv('CI', 'true')
  vi.stubEnv('ORIEL_CHROMIUM', '/nonexistent/chromium')
  expect(() => requires('chromium')).toThrow('Missing: chromium. Remedy: run tests/install-debian-packages')
})

test('a folder of the right name is not the program', () => {
  vi.stubEnv('CI', '')
  vi.stubEnv('ORIEL_CHROMIUM', import.meta.dirname)
  expect(requires('chromium').skip).toBe(true)
})
