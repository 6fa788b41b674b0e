import { loadConfig } from '@oriel/runtime'
import { expect, it } from 'vitest'
import { novaConf, proxyConfig } from '../../src/index.ts'

const conf = (listen: string) =>
  novaConf(loadConfig(proxyConfig, { toml: `authority.endpoint = "http://nova:8774/v2.1"\n${listen}` }))

it('--print-nova-conf prints the lines for a listener of each type, with a host name to fill in', () => {
  const listeners = [
    ['6080', 'novnc'],
    ['6082', 'spice-html5'],
    ['13002', 'spice-direct'],
    ['6083', 'serial'],
  ].map(([port, type]) => `[[listen]]\naddress = "0.0.0.0:${port}"\nconsoles = ["${type}"]\n`)
  expect(
    conf(listeners.join('')),
  ).toBe(`# nova.conf of every compute node; restart nova-compute afterwards (docs/nova.md)
# replace consoles.example with the public name of this proxy, or set listen[].base_url
# spice_direct_proxy_base_url requires microversion 2.99: remove it for an older Nova
[vnc]
novncproxy_base_url = http://consoles.example:6080/vnc_lite.html
[spice]
html5proxy_base_url = http://consoles.example:6082/spice_auto.html
spice_direct_proxy_base_url = http://consoles.example:13002/nova
[serial_console]
base_url = ws://consoles.example:6083/
`)
})

it('--print-nova-conf prints a prefix for each of several types at one base_url', () => {
  const listen =
    '[[listen]]\naddress = "10.0.0.1:6080"\nbase_url = "https://c.example/"\nconsoles = ["novnc", "spice-html5", "serial"]'
  expect(
    conf(listen)
      .split('\n')
      .filter((line) => line.includes('=')),
  ).toEqual([
    'novncproxy_base_url = https://c.example/novnc/vnc_lite.html',
    'html5proxy_base_url = https://c.example/spice-html5/spice_auto.html',
    'base_url = wss://c.example/serial/',
  ])
})

it('--print-nova-conf asks for a host name only if it prints the placeholder, not for a base_url that contains it', () => {
  const listen = '[[listen]]\naddress = "0.0.0.0:6080"\nbase_url = "https://consoles.example.org"\nconsoles = ["novnc"]'
  expect(conf(listen)).not.toContain('replace consoles.example')
  expect(conf(listen.replace(/base_url.*/, ''))).toContain('replace consoles.example')
})
