/** The server of a portal: creates consoles for its users, and serves the page that shows them. */
import { createClient } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'
import express from 'express'

const { MACHINES = '', PAGE = '../html/dist', PORT = '3000' } = process.env

// The portal's own account, which may open the console of every machine of its project.
const cloud = createClient(fromEnvironment())

const app = express()

app.post('/console', express.json(), async (request, response) => {
  const machine = request.body?.machine
  if (!mayOpen(userOf(request), machine))
    return response.status(403).type('text').send('You may not open this machine.')
  const { url } = await cloud.createConsole(machine, 'novnc')
  // The address contains a token, so no cache or log may keep it.
  response.set('Cache-Control', 'no-store').json({ url })
})

app.use(express.static(PAGE))

// Express recognises this by its four parameters.
app.use((error, _request, response, _next) => {
  console.error(error)
  response.status(502).type('text').send('The console could not be created.')
})

const server = app.listen(Number(PORT), '127.0.0.1', () =>
  console.log(`open http://127.0.0.1:${server.address().port}/?machine=<id of a machine>`),
)

/** Your portal's sign-in goes here: returns the user whose session cookie the request has, `undefined` for none. */
function userOf(_request) {
  return 'alice'
}

/** Your portal's records go here: the machines that a user may open. The cloud does not know your portal's users. */
function mayOpen(user, machine) {
  const machines = { alice: MACHINES.split(',') }
  return user !== undefined && typeof machine === 'string' && (machines[user] ?? []).includes(machine)
}
