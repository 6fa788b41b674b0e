/** One text of metrics out of those of several processes. */
import * as prom from 'prom-client'
import type { Figures } from './contract.ts'

/** Kinds whose values only ever grow. */
const GROWING: readonly unknown[] = ['counter', 'histogram']

/** The latest figures of each worker, and the sums of those that are gone: a total must not fall when a worker dies. */
export class FleetFigures {
  readonly #latest = new Map<number, Figures>()
  #gone: Figures = []

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

  /** A worker is gone; what it counted stays. */
  async retire(worker: number): Promise<void> {
    const last = this.#latest.get(worker) ?? []
    this.#latest.delete(worker)
    const growing = last.filter(({ type }) => GROWING.includes(type))
    if (growing.length > 0) this.#gone = (await joined([this.#gone, growing]).getMetricsAsJSON()) as unknown as Figures
  }

  /** Prometheus' text of all of them and of `own`. */
  text(own: Figures): Promise<string> {
    return joined([...this.#latest.values(), this.#gone, own]).metrics()
  }
}

const joined = (figures: readonly Figures[]) =>
  prom.AggregatorRegistry.aggregate(figures as unknown as object[]) as prom.Registry
