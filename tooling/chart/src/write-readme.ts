/** Writes the table of values into the chart's README. */
import { writeFileSync } from 'node:fs'
import { readmeFile, readmeWithTable } from './values-table.ts'

writeFileSync(readmeFile, readmeWithTable())
