import '@oriel/elements/console'
import type { MintConsole } from '@oriel/elements/console'
import type {} from '@oriel/elements/react'
import { useCallback, useState } from 'react'

/** The console of a machine, and a line that says how it is. */
export function MachineConsole({ machine }: { machine: string }) {
  const [status, setStatus] = useState('')
  // Called for the first console, and again when its address is not valid any more.
  const mint: MintConsole = useCallback((signal) => createConsole(machine, signal), [machine])
  return (
    <>
      {/* The key makes a new element for another machine. */}
      <oriel-console
        key={machine}
        mint={mint}
        toolbar="keys type clipboard view full"
        reconnect
        onstatechange={({ detail }) => setStatus('text' in detail ? detail.text : detail.state)}
      />
      <p role="status">{status}</p>
    </>
  )
}

async function createConsole(machine: string, signal: AbortSignal): Promise<{ url: string }> {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch('/console', { method: 'POST', headers, body: JSON.stringify({ machine }), signal })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}
