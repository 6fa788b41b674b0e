/** Checks a console that a browser opens: its page, its WebSocket, its protocol. */
import { ConsoleClosed } from '@oriel/console'
import type { OpenableConsoleType } from '@oriel/contract'
import type { Cloud } from '../../cloud/sign-in.ts'
import type { Destination } from '../destination.ts'
import type { Examination, Outcome, Passed } from '../examination.ts'
import { Problem } from '../problem.ts'
import { type Answer, Attempt, elapsed } from './attempt.ts'
import type { ConsoleCreator, Created } from './create.ts'
import { checkPage } from './page.ts'
import type { ServedPage } from './page-problem.ts'
import { endRemedy } from './refusal-remedies.ts'
import type { CloudFacts } from './settings.ts'
import { speakerOf } from './speak.ts'
import { checkOrigin, checkUpgrade, requireOpen } from './upgrade.ts'

export interface ConsoleSubject {
  readonly type: OpenableConsoleType
  readonly cloud: Cloud
  readonly creator: ConsoleCreator
  readonly facts: CloudFacts
  /** How long to keep the console open without traffic. Default: not at all. */
  readonly idleMs: number | undefined
}

/** Performs the checks of one type after its address has been reached. */
export async function checkBrowserConsole(
  exam: Examination,
  subject: ConsoleSubject,
  created: Outcome<Created>,
  reached: Outcome<Destination>,
): Promise<Outcome<ServedPage | undefined>> {
  const { type, cloud, facts, idleMs } = subject
  const { signal } = exam
  const page = await exam.checkIfApplicable(`${type} page`, [created, reached], ({ pageUrl }, to) =>
    checkPage({ type, pageUrl, to, cloud, signal }),
  )
  const origin = created.value && new URL(created.value.pageUrl).origin
  const attempt = new Attempt(cloud, origin)
  let spoken: Promise<string> | undefined
  try {
    const upgraded = await exam.check(`${type} websocket`, [created, reached, page], async ({ url }, to) => {
      spoken = speakerOf(type)(url, attempt, cloud, signal)
      // A later check reports its error.
      spoken.catch(() => {})
      return checkUpgrade(await answerOf(attempt, spoken), to, facts)
    })
    const admitted = await exam.check(`${type} origin`, [upgraded, reached], async (answer, to) =>
      checkOrigin(answer, origin!, to, facts),
    )
    const open = await exam.checkIfApplicable(`${type} console`, [admitted, reached], async (answer, to) => {
      requireOpen(answer, to, facts)
      return { value: attempt, detail: await spoken!.catch((error) => explain(error, subject, page, to, signal)) }
    })
    if (idleMs !== undefined && open.value !== undefined)
      await exam.check(`${type} idle`, [open], () => stayIdle(attempt, idleMs, signal))
  } finally {
    await attempt.close()
  }
  return page
}

/** A console that cannot even be dialled has no answer. */
const answerOf = (attempt: Attempt, spoken: Promise<string>): Promise<Answer> =>
  Promise.race([attempt.answer, spoken.then(() => attempt.answer)])

/** @throws Problem for the error with which the console ended before its first picture */
async function explain(
  error: unknown,
  subject: ConsoleSubject,
  page: Outcome<ServedPage | undefined>,
  to: Destination,
  signal: AbortSignal,
): Promise<never> {
  signal.throwIfAborted()
  if (page.value?.by !== 'oriel' && (await opensWithoutOrigin(subject, signal))) {
    const remedy =
      'Let the load balancer keep the Host header (nginx: proxy_set_header Host $host), or add the host of the console page to [console] allowed_origins of nova.conf.'
    throw new Problem(
      'the proxy closes the console for a browser, and opens it for a program without an Origin header',
      {
        side: 'load balancer',
        remedy,
      },
    )
  }
  if (error instanceof ConsoleClosed) {
    throw new Problem(
      `the console closed before its first picture or byte (code ${error.code}): ${error.message}`,
      endRemedy(error.code),
      {
        cause: error,
      },
    )
  }
  const { message } = error as Error
  const remedy = `Read the log of the console proxy at ${to.url.host}, and check that the guest runs.`
  throw new Problem(
    `the console gives no first picture or byte: ${message}`,
    { side: 'hypervisor', remedy },
    { cause: error },
  )
}

async function opensWithoutOrigin({ type, cloud, creator }: ConsoleSubject, signal: AbortSignal): Promise<boolean> {
  const attempt = new Attempt(cloud, undefined)
  try {
    const { url } = await creator.create(type)
    await speakerOf(type)(url, attempt, cloud, signal)
    return true
  } catch {
    return false
  } finally {
    await attempt.close()
  }
}

async function stayIdle(attempt: Attempt, idleMs: number, signal: AbortSignal): Promise<Passed<undefined>> {
  attempt.quiet()
  const startMs = performance.now()
  const ended = await Promise.race([attempt.ended, elapsed(idleMs, signal)])
  signal.throwIfAborted()
  if (ended === undefined && (await attempt.isAlive(signal)))
    return { value: undefined, detail: `open after ${idleMs / 1000} s without traffic` }
  const seconds = Math.round((performance.now() - startMs) / 1000)
  const remedy =
    'Raise its timeout for idle WebSockets (nginx: proxy_read_timeout; HAProxy: timeout tunnel), or lower sessions.ping_interval_seconds of oriel-proxy below it.'
  throw new Problem(`the idle console was cut after ${seconds} s`, { side: 'load balancer', remedy })
}
