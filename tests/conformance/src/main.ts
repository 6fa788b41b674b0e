/**
 * Replays every recording and prints a report in Markdown: figures by topic, then every failure.
 *
 *     node --conditions=@oriel/source src/main.ts [FOLDER]
 */
import { callsOf } from './flows.ts'
import { createReplayer, type Outcome } from './replay.ts'
import { summary, unusedRows } from './summary.ts'
import { loadFlows, loadTopics, samples, type Topic } from './vectors.ts'

const folder = process.argv[2]
const flows = loadFlows(folder).flatMap(callsOf)
const topics: Topic[] = [
  ...loadTopics(folder),
  ...(folder === undefined ? loadTopics(samples) : []),
  { name: 'client-flows', vectors: flows },
]
await using replayer = await createReplayer(topics.flatMap(({ vectors }) => vectors))

const outcomes: Outcome[] = []
for (const { name, vectors } of topics) {
  const ofTopic: Outcome[] = []
  for (const vector of vectors) ofTopic.push(await replayer.replay(vector))
  print(`- ${name}: ${summary(ofTopic)}`)
  outcomes.push(...ofTopic)
}
print(`\n**${summary(outcomes)}**\n`)
for (const { id, nova } of unusedRows(outcomes)) print(`- ${id} concerns no recording: ${nova}`)
for (const outcome of outcomes.filter(({ verdict }) => verdict === 'fail')) print(failure(outcome))
process.exitCode = outcomes.some(({ verdict }) => verdict === 'fail') ? 1 : 0

function failure({ vector, faults, rows }: Outcome): string {
  const { method, path, headers, body } = vector.request
  const by = rows.length === 0 ? '' : ` (by ${rows.map(({ id }) => id).join(', ')})`
  const sent = `${method} ${path} ${JSON.stringify(headers)} ${body ?? ''}`.slice(0, 600)
  return [
    `\n### ${vector.name}${by}`,
    `\`${sent}\` ${JSON.stringify(vector.setup)}`,
    ...faults.map((f) => `- ${f}`),
  ].join('\n')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
