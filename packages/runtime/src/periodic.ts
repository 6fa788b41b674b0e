/**
 * Runs `task` now and every `intervalMs`, and skips a run while the previous one is still in progress. The timer is
 * unreferenced. Disposal stops it and waits for a run in progress.
 * @param task must not reject
 */
export function startPeriodic(task: () => Promise<void>, intervalMs: number): AsyncDisposable {
  let running: Promise<void> | undefined
  const run = () => {
    running ??= task().finally(() => {
      running = undefined
    })
  }
  const timer = setInterval(run, intervalMs).unref()
  run()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running
    },
  }
}
