/** A consumer's component in React 19. */
import type {} from '@oriel/elements/react'
import type { OrielVnc } from '@oriel/elements/vnc'
import { useRef } from 'react'

export function Console({ url, tell }: { url: string; tell: (text: string) => void }) {
  const screen = useRef<OrielVnc>(null)
  return (
    <>
      <oriel-vnc
        ref={screen}
        url={url}
        scale="remote"
        viewOnly={false}
        reconnect
        className="screen"
        mint={async () => ({ url })}
        ondisconnect={({ detail }) => tell(detail.text + detail.remedy)}
      />
      <oriel-serial url={url} onsizechange={({ detail }) => tell(String(detail.columns))} />
      <oriel-console url={url} toolbar="keys type" onviewers={({ detail }) => tell(String(detail.viewers.length))} />
      <oriel-spice url={url} scale="none" />
      {/* @ts-expect-error a terminal has no scale */}
      <oriel-serial url={url} scale="none" />
      {/* @ts-expect-error there is no such event */}
      <oriel-vnc url={url} ondisconnected={() => undefined} />
    </>
  )
}
