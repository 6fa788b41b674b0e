/** Measures how many bytes a candidate moves from a client to its console per CPU-second, as when a long text is pasted. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import type { Lab } from '../guest.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternate, type Measurement, type Outcome, type Rounds, ratios, titleOf } from '../measurement.ts'
import { digits, MIB, median, times } from '../numbers.ts'
import { cpuSeconds } from '../process-tree.ts'

const CONTESTANTS: readonly CandidateName[] = ['oriel', 'bare', 'websockify', 'haproxy']
const MESSAGE_BYTES = 64 * 1024
/** RFB's ClientCutText: its type, padding, and the length of the text. */
const CUT_TEXT_HEADER = Buffer.from([6, 0, 0, 0, 0, 0, 0, 0])
CUT_TEXT_HEADER.writeUInt32BE(MESSAGE_BYTES - CUT_TEXT_HEADER.length, 4)
const MESSAGE = Buffer.concat([CUT_TEXT_HEADER, Buffer.alloc(MESSAGE_BYTES - CUT_TEXT_HEADER.length, 'a')])

export const upload: Measurement = {
  title: 'Bytes from client to console',
  method:
    'One session sends texts for the clipboard of 64 KiB each, as fast as the console takes them, which discards them. The ' +
    'figures are payload bytes by CPU-seconds of the whole process tree, until the console has the last byte. HAProxy and ' +
    'the bare relay get the bytes as they are, the others in masked WebSocket frames.',
  async run(scale) {
    const [messages, rounds] = scale === 'full' ? [4000, 11] : [20, 1]
    await using contest = await openContest(CONTESTANTS, 'silent')
    using opened = new DisposableStack()
    const clients = await Promise.all(contest.entrants.map(begin))
    for (const { client } of clients) opened.use(client)
    return outcome(await alternate(clients, rounds, (one) => send(contest.lab, one, messages)))
  },
}

async function begin({ name, pid, target }: Entrant) {
  const client = await ConsoleClient.open(target)
  // A key: the console starts at the first byte, which the proxy must find to be the start of a message.
  client.send(Buffer.from([4, 0, 0, 0, 0, 0, 0, 0x61]))
  return { name, pid, client }
}

/** Returns the MiB that went through per CPU-second. */
async function send(
  { hypervisor }: Lab,
  { pid, client }: { readonly pid: number; readonly client: ConsoleClient },
  messages: number,
): Promise<number> {
  const received = async () => (await hypervisor.ask<{ receivedBytes: number }>()).receivedBytes
  const [bytes, before, cpuBefore] = [messages * MESSAGE_BYTES, await received(), cpuSeconds(pid)]
  await client.sendOften(MESSAGE, messages)
  while ((await received()) - before < bytes) await delay(5)
  return bytes / MIB / Math.max(cpuSeconds(pid) - cpuBefore, 0.01)
}

function outcome(rounds: Rounds<number>): Outcome {
  const rows = [...rounds].map(([name, values]) => [
    titleOf(name),
    digits(median(values)),
    `${digits(Math.min(...values))} to ${digits(Math.max(...values))}`,
    times(median(ratios(rounds, 'oriel', name)!)),
  ])
  return { columns: ['MiB per CPU-second', 'range', 'oriel-proxy moves'], rows, verdicts: [] }
}
