/** The output of `oriel doctor`. */
import { expect, it } from 'vitest'
import type { Result } from '../src/doctor/examination.ts'
import { isHealthy, linesOf } from '../src/doctor/report.ts'

const failed: Result = {
  ...{ name: 'novnc page', status: 'failed', detail: 'h answers 404', side: 'load balancer' },
  remedy: 'Route /vnc.html to the console proxy, with its path unchanged, or correct its address in the settings.',
}

it('prints what to do below a failed check, on which side', () => {
  expect(linesOf(failed, undefined).split('\n')).toEqual([
    'failed   novnc page             h answers 404',
    `${' '.repeat(32)}fix (load balancer): ${failed.remedy}`,
  ])
})

it('breaks long lines of a terminal beside the names', () => {
  const lines = linesOf(failed, 80).split('\n')
  expect(lines).toHaveLength(4)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  for (const line of lines.slice(1)) expect(line).toMatch(/^ {32}\S/)
})

it('replaces control characters, which a page or a name could contain', () => {
  expect(linesOf({ ...failed, detail: 'a page "\u001b[2J"' }, undefined)).toContain('a page "?[2J"')
})

it('counts a warning as healthy', () => {
  expect(isHealthy({ results: [{ name: 'a', status: 'warning', detail: '' }] })).toBe(true)
  expect(isHealthy({ results: [failed] })).toBe(false)
})
