/** A consumer's component in React 18, which writes attributes only. */
import type {} from '@oriel/elements/react-18'
import type { OrielVnc } from '@oriel/elements/vnc'
import { useEffect, useRef } from 'react'

export function Console({ url, tell }: { url: string; tell: (text: string) => void }) {
  const screen = useRef<OrielVnc>(null)
  useEffect(() => {
    const ended = new AbortController()
    const { signal } = ended
    screen.current?.addEventListener('disconnect', ({ detail }) => tell(detail.text), { signal })
    return () => ended.abort()
  }, [tell])
  return (
    <>
      <oriel-vnc ref={screen} url={url} view-only="" reconnect="" class="screen" />
      <oriel-serial url={url} />
      <oriel-console url={url} toolbar="keys type" reconnect="" />
      <oriel-spice url={url} scale="none" />
      {/* @ts-expect-error React 18 would write this as an attribute, which sets it */}
      <oriel-vnc url={url} reconnect={false} />
    </>
  )
}
