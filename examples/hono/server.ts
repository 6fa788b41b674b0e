/** The server of a portal: creates consoles for its users, and serves the page that shows them. */
import { serve } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'
import { Hono } from 'hono'

// The portal's own account, which may open the console of every machine of its project.
const cloud = createClient(fromEnvironment())

const app = new Hono()

app.post('/console', async (c) => {
  const { machine } = await c.req.json().catch(() => ({}))
  if (!mayOpen(userOf(c.req.raw), machine)) return c.text('You may not open this machine.', 403)
  const { url } = await cloud.createConsole(machine, 'novnc')
  // The address contains a token, so no cache or log may keep it.
  return c.json({ url }, 200, { 'Cache-Control': 'no-store' })
})

app.use(serveStatic({ root: process.env.PAGE ?? '../html/dist' }))

app.onError((error, c) => {
  console.error(error)
  return c.text('The console could not be created.', 502)
})

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT ?? 3000) }, ({ port }) =>
  console.log(`open http://127.0.0.1:${port}/?machine=<id of a machine>`),
)

/** Your portal's sign-in goes here: returns the user whose session cookie the request has, `undefined` for none. */
function userOf(_request: Request): string | undefined {
  return 'alice'
}

/** Your portal's records go here: the machines that a user may open. The cloud does not know your portal's users. */
function mayOpen(user: string | undefined, machine: unknown): machine is string {
  const machines: Readonly<Record<string, string | undefined>> = { alice: process.env.MACHINES }
  return user !== undefined && typeof machine === 'string' && (machines[user] ?? '').split(',').includes(machine)
}
