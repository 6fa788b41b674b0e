import { afterEach, expect, test, vi } from 'vitest'
import { requirement, requires } from '../src/index.ts'

afterEach(() => vi.unstubAllEnvs())

test('requires skips nothing if all parts are installed', () => {
  vi.stubEnv('CI', 'true')
  expect(requirement('a shell', true, 'none')).toEqual({ skip: false, reason: '' })
})

test('requires skips a suite outside of CI, with the missing part in its name', () => {
  vi.stubEnv('CI', '')
  vi.stubEnv('ORIEL_CHROMIUM', '/nonexistent/chromium')
  expect(requires('chromium')).toEqual({
    skip: true,
    reason: ' (skipped without chromium: run tests/install-debian-packages)',
  })
})

test('requires throws in CI for a missing part, with a remedy', () => {
  vi.stubEnv('CI', 'true')
  vi.stubEnv('ORIEL_CHROMIUM', '/nonexistent/chromium')
  expect(() => requires('chromium')).toThrow('Missing: chromium. Remedy: run tests/install-debian-packages')
})

test('requires does not take a folder for a program', () => {
  vi.stubEnv('CI', '')
  vi.stubEnv('ORIEL_CHROMIUM', import.meta.dirname)
  expect(requires('chromium').skip).toBe(true)
})
