/** Merges the metrics of several processes into one. */
import * as prom from 'prom-client'
import type { Figures } from './contract.ts'

/** Metric types whose values only grow. */
const GROWING: readonly unknown[] = ['counter', 'histogram']

/** The latest metrics of each worker, and the sums of exited workers: a total must not fall when a worker dies. */
export class FleetFigures {
  readonly #latest = new Map<number, Figures>()
  #ofExited: Figures = []

  /** Stores a worker's answer. Returns whether it is valid: a malformed one must not spoil the metrics of the other workers. */
  async note(worker: number, figures: Figures): Promise<boolean> {
    try {
      await joined([figures]).metrics()
    } catch {
      return false
    }
    this.#latest.set(worker, figures)
    return true
  }

  /** Removes an exited worker, but keeps its counts. */
  async retire(worker: number): Promise<void> {
    const last = this.#latest.get(worker) ?? []
    this.#latest.delete(worker)
    const growing = last.filter(({ type }) => GROWING.includes(type))
    if (growing.length > 0)
      this.#ofExited = (await joined([this.#ofExited, growing]).getMetricsAsJSON()) as unknown as Figures
  }

  /** Formats the metrics of all workers and of the primary as Prometheus text. */
  text(primary: Figures): Promise<string> {
    return joined([...this.#latest.values(), this.#ofExited, primary]).metrics()
  }
}

const joined = (figures: readonly Figures[]) =>
  prom.AggregatorRegistry.aggregate(figures as unknown as object[]) as prom.Registry
