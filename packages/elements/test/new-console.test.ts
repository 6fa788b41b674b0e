import { closeReasons } from '@oriel/contract'
import { describe, expect, it, vi } from 'vitest'
import { describeEnd, localEnd, mayOpenAgain } from '../src/console-end.ts'
import { mintedUrl, mintTimeoutMs } from '../src/new-console.ts'

const forever = new AbortController().signal

describe('mintedUrl', () => {
  it('resolves with the URL of the new console', async () => {
    expect(await mintedUrl(async () => ({ url: 'https://h/?token=t' }), forever)).toBe('https://h/?token=t')
  })

  it.each([{ url: '' }, {}, { url: 1 }])('rejects the answer %j', async (answer) => {
    await expect(mintedUrl(async () => answer as never, forever)).rejects.toThrow('without a URL')
  })

  it('rejects with the failure of the portal', async () => {
    const failure = new Error('the portal is down')
    await expect(mintedUrl(() => Promise.reject(failure), forever)).rejects.toBe(failure)
  })

  it('ends the wait, and tells the portal, when the console is not needed any more', async () => {
    const wait = new AbortController()
    let portal: AbortSignal | undefined
    const url = mintedUrl((signal) => {
      portal = signal
      return new Promise(() => {})
    }, wait.signal)
    wait.abort(new Error('closed'))
    await expect(url).rejects.toThrow('closed')
    expect(portal?.aborted).toBe(true)
  })

  it('rejects when the portal does not answer in time', async () => {
    const expired = new AbortController()
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(expired.signal)
    const url = mintedUrl(() => new Promise(() => {}), forever)
    expect(timeout).toHaveBeenCalledWith(mintTimeoutMs)
    timeout.mockRestore()
    expired.abort(new DOMException('late', 'TimeoutError'))
    await expect(url).rejects.toThrow('late')
  })
})

describe('mayOpenAgain', () => {
  const ended = (name: 'ended' | 'revoked' | 'token_expired' | 'console_lost') =>
    describeEnd({ code: closeReasons[name].code, reason: '', wasClean: true, opened: true })

  it.each(['ended', 'revoked', 'token_expired'] as const)('is false after %s, whose token is dead', (name) => {
    expect(mayOpenAgain(ended(name))).toBe(false)
  })

  it('is true after a lost connection, and for a WebSocket that did not open without a reason', () => {
    expect(mayOpenAgain(ended('console_lost'))).toBe(true)
    expect(mayOpenAgain(localEnd('did_not_open'))).toBe(true)
  })
})
