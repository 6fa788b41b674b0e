/** Oriel's API against what a real Nova answered: each recording is a test, each decision a check. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callsOf } from '../src/flows.ts'
import { createReplayer, type Outcome, type Replayer } from '../src/replay.ts'
import { summary, unusedRows } from '../src/summary.ts'
import { loadFlows, loadTopics, samples, type Vector } from '../src/vectors.ts'

const topics = [...loadTopics(), ...loadTopics(samples)]
const flows = loadFlows().filter(({ calls }) => calls.length > 0)
const outcomes: Outcome[] = []
let replayer: Replayer

beforeAll(async () => {
  replayer = await createReplayer(topics.flatMap(({ vectors }) => vectors))
})
afterAll(async () => {
  await replayer[Symbol.asyncDispose]()
  process.stdout.write(`Recordings of a real Nova: ${summary(outcomes)}\n`)
})

describe.each(topics)('$name', ({ vectors }) => {
  it.each(vectors)('$name', async (vector) => {
    expect(await faultsOf(vector)).toEqual([])
  })
})

describe('recorded flows of real clients', () => {
  it.each(flows)('$name', async (flow) => {
    for (const call of callsOf(flow)) expect(await faultsOf(call)).toEqual([])
  })
})

it('has no decision that concerns no recording', () => {
  expect(unusedRows(outcomes).map(({ id, nova }) => `${id}: ${nova}`)).toEqual([])
})

async function faultsOf(vector: Vector): Promise<readonly string[]> {
  const outcome = await replayer.replay(vector)
  outcomes.push(outcome)
  return outcome.faults
}
