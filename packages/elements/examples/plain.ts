import '@oriel/elements/console'

const machine = document.querySelector('oriel-console')!
const status = document.querySelector('[role=status]')!

machine.addEventListener('statechange', ({ detail }) => {
  status.textContent = 'text' in detail ? detail.text : detail.state
})
machine.mint = async (signal) => {
  const response = await fetch('/console', { method: 'POST', signal })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}
