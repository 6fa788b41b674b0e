/** Opens VNC consoles of real guests with passwords of their own, which the source tells the proxy. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type QemuGuest, requires, startQemu, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { domain, startLibvirt } from './parts/libvirt.ts'
import { GUEST_ID, GUEST_NAME, startOneGuest, staticSource } from './parts/one-guest.ts'
import { PROJECT } from './parts/oriel.ts'
import { asViewer } from './parts/rfb.ts'

type Oriel = Awaited<ReturnType<typeof startOneGuest>>

const qemu = requires('qemu')
const libvirt = requires('libvirt', 'qemu')
const start = (source: object, vnc: object = {}) =>
  startOneGuest({ source, hypervisor: { identity: 'enforce', vnc: { auth_schemes: ['vnc_auth'], ...vnc } } })

async function opens(oriel: Oriel): Promise<void> {
  using vnc = await oriel.dial('novnc')
  expect(await (await asViewer(vnc.socket)).desktopName()).toBe(`QEMU (${GUEST_NAME})`)
}

/** Returns the reason in the log for which the console is refused. */
async function refusalOf(oriel: Oriel): Promise<string> {
  const refusals = () => oriel.records.filter(({ refusal }) => refusal === 'security_failed')
  const before = refusals().length
  using refused = await oriel.dial('novnc')
  expect(await refused.status()).toBe(502)
  return String((await oriel.waitForLog((record) => record === refusals()[before])).detail)
}

/** Searches for passwords in the program's output, its database, its metrics and its lists. */
async function expectNowhere(oriel: Oriel, passwords: readonly string[]): Promise<void> {
  const files = (await readdir(oriel.folder)).filter((file) => file.startsWith('oriel.db'))
  const stored = await Promise.all(files.map((file) => readFile(join(oriel.folder, file), 'latin1')))
  const shown = [await oriel.admin('metrics'), await oriel.admin('sessions'), await oriel.sessions()]
  expect(stored.join()).toContain(GUEST_ID)
  expect(oriel.printed()).toContain('session opened')
  for (const text of [...stored, ...shown, oriel.printed()]) {
    for (const password of passwords) expect(text.includes(password), password).toBe(false)
  }
}

describe.skipIf(qemu.skip)(`a real QEMU guest with a password of its own${qemu.reason}`, () => {
  const setPassword = (guest: QemuGuest, password: string) => guest.qmp('set_password', { protocol: 'vnc', password })

  it('opens with the password in a file of its static server, also after both have changed', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'vnc-password')
    const port = await freePort()
    const args = ['-vnc', `127.0.0.1:${port - 5900},password=on`]
    await using guest = await startQemu({ name: GUEST_NAME, uuid: GUEST_ID, vnc: false, args })
    await setPassword(guest, 'first-pw')
    await writeFile(file, 'first-pw\n')
    await using oriel = await start(staticSource({ vnc: { host: '127.0.0.1', port, password_file: file } }))
    await opens(oriel)

    await setPassword(guest, 'other-pw')
    expect(await refusalOf(oriel)).toContain('the hypervisor refused: "Authentication failed"')
    await writeFile(file, 'other-pw\n')
    oriel.reload()
    await oriel.waitForLog(({ msg }) => msg === 'servers read again')
    await opens(oriel)
    await expectNowhere(oriel, ['first-pw', 'other-pw'])
  })

  it('opens with its own password rather than the one of the proxy, which counts for other guests', async () => {
    await using guest = await startQemu({ name: GUEST_NAME, uuid: GUEST_ID, vnc: { password: 'guest-pw' } })
    const at = { host: guest.host, port: guest.vncPort }
    {
      await using oriel = await start(staticSource({ vnc: { ...at, password: 'guest-pw' } }), { password: 'proxy-pw' })
      await opens(oriel)
      await expectNowhere(oriel, ['guest-pw', 'proxy-pw'])
    }
    await using oriel = await start(staticSource({ vnc: at }), { password: 'guest-pw' })
    await opens(oriel)
  })

  it('is refused without a password, and the log names both places for one', async () => {
    await using guest = await startQemu({ name: GUEST_NAME, uuid: GUEST_ID, vnc: { password: 'guest-pw' } })
    await using oriel = await start(staticSource({ vnc: { host: guest.host, port: guest.vncPort } }))
    expect(await refusalOf(oriel)).toContain(
      'set hypervisor.vnc.password, or a password in the source of the server (with oriel-api)',
    )
  })
})

describe.skipIf(libvirt.skip)(`a real libvirt domain with a password of its own${libvirt.reason}`, () => {
  it('opens with the password that libvirt knows, only with passwords = true', async () => {
    await using daemon = await startLibvirt()
    const password = `p<&>"'w`
    const escaped = 'p&lt;&amp;&gt;&quot;&apos;w'
    const listen = "<listen type='address' address='127.0.0.1'/>"
    const devices = `<graphics type='vnc' autoport='yes' passwd='${escaped}'>${listen}</graphics>`
    await daemon.create(domain({ uuid: GUEST_ID, name: GUEST_NAME, devices }))
    const source = { kind: 'libvirt', uri: daemon.uri, project_id: PROJECT }
    {
      await using oriel = await start({ ...source, passwords: true })
      await opens(oriel)
      await expectNowhere(oriel, [password, escaped, JSON.stringify(password).slice(1, -1)])
    }
    await using oriel = await start(source)
    expect(await refusalOf(oriel)).toContain('the hypervisor requires a VNC password')
  })
})
