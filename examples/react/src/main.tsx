import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { MachineConsole } from './machine-console.tsx'

const machine = new URLSearchParams(location.search).get('machine') ?? ''
const place = document.body.appendChild(document.createElement('main'))
createRoot(place).render(
  <StrictMode>
    <h1>Machine</h1>
    <MachineConsole machine={machine} />
  </StrictMode>,
)
