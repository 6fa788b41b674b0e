/**
 * Starts the command on a Node that is new enough. Everything else is imported afterwards, so that an older Node gets a
 * sentence and not an error of its loader.
 */
const NEEDED_MAJOR = 22

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) {
  const { start } = await import('./start.ts')
  await start()
} else {
  process.stderr.write(
    `oriel needs Node ${NEEDED_MAJOR} or newer; this is ${process.version}. Install a newer one and run it again.\n`,
  )
  process.exitCode = 2
}
