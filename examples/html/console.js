import '@oriel/elements/console'

const machine = new URLSearchParams(location.search).get('machine')
const screen = document.querySelector('oriel-console')
const status = document.querySelector('[role=status]')

screen.addEventListener('statechange', ({ detail }) => {
  // The text of an end may come from the machine: show it as text, never as markup.
  status.textContent = detail.text ?? detail.state
})

// Called for the first console, and again when its address is not valid any more.
screen.mint = async (signal) => {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch('/console', { method: 'POST', headers, body: JSON.stringify({ machine }), signal })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}
