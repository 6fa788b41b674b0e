/** The overlays for Kolla-Ansible, OpenStack-Helm and OpenStack-Ansible in deploy/. */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { novaConf, type ProxyConfig, proxyConfig, refineProxyConfig } from '@oriel/proxy'
import { loadConfig } from '@oriel/runtime'
import { requires, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { render } from './parts/helm.ts'
import { jinja, requiresJinja } from './parts/jinja.ts'
import { mountedFiles, proxyOf } from './parts/programs.ts'

const deploy = fileURLToPath(new URL('../../../deploy', import.meta.url))
const read = (name: string) => readFileSync(join(deploy, name), 'utf8')

const yamlFiles = globSync('{kolla,openstack-helm,openstack-ansible}/**/*.{yml,yaml}', { cwd: deploy })

it.each(yamlFiles)('deploy/%s is one YAML document without errors', (file) => {
  expect(parseDocument(read(file), { version: '1.1' }).errors).toEqual([])
})

describe('deploy/kolla', () => {
  const services = ['nova-novncproxy', 'nova-serialproxy', 'nova-spicehtml5proxy']
  const globals = parse(read('kolla/globals.yml'))

  const configOf = async (service: string): Promise<ProxyConfig> => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'password'), 'secret\n')
    return checked(read(`kolla/etc/${service}/proxy.toml`).replaceAll('"/etc/oriel/', `"${folder.path}/`))
  }

  it.each(services)('configures %s at the port that HAProxy asks', async (service) => {
    const { listen } = await configOf(service)
    const port = globals[`${service.replace('-', '_')}_listen_port`]
    expect(listen[0]!.address).toBe(`0.0.0.0:${port}`)
  })

  it.each(services)('mounts the files of %s where kolla_start copies them from', (service) => {
    const volumes = globals[`${service.replace('-', '_')}_extra_volumes`]
    expect(volumes).toEqual([
      `/etc/oriel/${service}/:/var/lib/kolla/oriel/:ro`,
      '/etc/oriel/config.json:/var/lib/kolla/config_files/config.json:ro',
    ])
    const { command, config_files } = JSON.parse(read('kolla/etc/config.json'))
    expect(command).toMatch(/ --config \/etc\/oriel\/proxy\.toml$/)
    const copied = config_files.map(({ source, dest }: { source: string; dest: string }) => [source, dest])
    expect(copied).toEqual(
      ['proxy.toml', 'password', 'tls'].map((name) => [`/var/lib/kolla/oriel/${name}`, `/etc/oriel/${name}`]),
    )
  })

  it('has the lines of nova.conf that the three proxies print', async () => {
    const printed = await Promise.all(services.map(async (service) => optionsOf(novaConf(await configOf(service)))))
    expect(optionsOf(read('kolla/nova.conf'))).toEqual(printed.flat().toSorted())
  })

  const { skip, reason } = requires('haproxy')
  const templates = requiresJinja()
  it.skipIf(skip || templates.skip)(
    `HAProxy accepts the services for native SPICE${reason}${templates.reason}`,
    async () => {
      const filled = jinja(read('kolla/haproxy/oriel-spice-direct.cfg'), {
        kolla_external_vip_address: '127.0.0.1',
        kolla_enable_tls_external: false,
        groups: { 'nova-spicehtml5proxy': ['one', 'two'] },
        hostvars: { one: { ansible_facts: { hostname: 'one' } }, two: { ansible_facts: { hostname: 'two' } } },
        addresses: { one: '127.0.0.11', two: '127.0.0.12' },
      })
      const { listen, spice } = await configOf('nova-spicehtml5proxy')
      const servers = [...filled.matchAll(/server (\w+) ([\d.]+:\d+)/g)].map(([, name, address]) => [name, address])
      const ports = [listen[1]!.address, spice!.listen!].map((address) => address.split(':')[1])
      expect(servers).toEqual(
        ports.flatMap((port) => [
          ['one', `127.0.0.11:${port}`],
          ['two', `127.0.0.12:${port}`],
        ]),
      )
      await using folder = await temporaryFolder()
      const file = join(folder.path, 'haproxy.cfg')
      const defaults = 'defaults\n timeout connect 10s\n timeout client 1m\n timeout server 1m\n log global\n'
      await writeFile(file, `global\n log 127.0.0.1 local0\n${defaults}${filled}`)
      expect(execFileSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })).toContain('Configuration file is valid')
    },
  )
})

describe('deploy/openstack-helm', () => {
  const { skip, reason } = requires('helm')
  it.skipIf(skip)(`has the base URLs that the proxies of the chart print${reason}`, async () => {
    const manifests = await render('--values', join(deploy, 'openstack-helm/oriel-values.yaml'))
    await using files = await mountedFiles(manifests)
    const printed = optionsOf(novaConf(proxyOf(manifests, files)))
    expect(optionsOf(read('openstack-helm/nova.conf'))).toEqual(printed)
    const { nova } = parse(read('openstack-helm/nova-values.yaml')).conf
    const values = Object.entries(nova as Record<string, Record<string, string>>).flatMap(([group, options]) =>
      Object.entries(options).map(([name, value]) => `[${group}] ${name} = ${value}`),
    )
    expect(values.toSorted()).toEqual(printed)
  })
})

const { skip, reason } = requiresJinja()
describe.skipIf(skip)(`deploy/openstack-ansible${reason}`, () => {
  /** Variables that OpenStack-Ansible has, with its defaults. */
  const inventory = {
    external_lb_vip_address: 'consoles.example.org',
    openstack_service_bind_address: '10.0.0.11',
    keystone_service_internalurl: 'https://10.0.0.1:5000/v3',
    service_region: 'RegionOne',
    nova_service_password: 'secret',
    nova_novncproxy_port: 6080,
    nova_spice_html5proxy_base_port: 6082,
    nova_serialconsoleproxy_port: 6083,
    nova_qemu_vnc_tls: 1,
    groups: { haproxy: ['one'] },
    hostvars: { one: { management_address: '10.0.0.2' } },
  }
  const variables = parse(read('openstack-ansible/user_variables_oriel.yml'))
  const oriel_console_address = jinja(variables.oriel_console_address, inventory)
  const fill = (template: string, more = {}) => jinja(template, { ...inventory, oriel_console_address, ...more })
  const [play] = parse(read('openstack-ansible/oriel.yml'))
  const proxies = play.vars.oriel_proxies as { unit: string; type: string; port: string; admin_port: number }[]

  const configOf = async (item: (typeof proxies)[number], more = {}): Promise<ProxyConfig> => {
    await using pki = await temporaryPki()
    await mkdir(join(pki.path, 'nova-novncproxy'))
    for (const name of ['ca-cert', 'client-cert', 'client-key']) {
      await writeFile(join(pki.path, 'nova-novncproxy', `${name}.pem`), await readFile(join(pki.path, `${name}.pem`)))
    }
    const toml = fill(read('openstack-ansible/proxy.toml.j2'), { item: { ...item, port: fill(item.port) }, ...more })
    return checked(
      toml
        .replaceAll('/etc/pki/', `${pki.path}/`)
        .replaceAll('/etc/ssl/certs/ca-certificates.crt', `${pki.path}/ca-cert.pem`),
    )
  }

  it('writes a configuration for each unit, with VeNCrypt for noVNC', async () => {
    const configs = await Promise.all(proxies.map((item) => configOf(item)))
    expect(configs.map(({ listen }) => listen[0]!.address)).toEqual([
      '10.0.0.11:6080',
      '10.0.0.11:6082',
      '10.0.0.11:6083',
    ])
    expect(configs[0]).toMatchObject({
      hypervisor: { vnc: { auth_schemes: ['vencrypt'] } },
      origin: { trusted_proxies: ['10.0.0.2'] },
    })
    const plain = await configOf(proxies[0]!, { nova_qemu_vnc_tls: 0 })
    expect(plain.hypervisor.vnc.auth_schemes).toEqual(['none'])
  })

  it('starts each unit with the file that the playbook writes', () => {
    const units = proxies.map(({ unit }) => variables[`${unit.replace('-', '_')}_init_overrides`].Service.ExecStart)
    expect(units).toEqual(
      proxies.map(({ unit }) => `/opt/oriel/bin/node /opt/oriel/main.js --config /etc/oriel/${unit}.toml`),
    )
  })

  it('sets the base URLs that the proxies print', async () => {
    const printed = await Promise.all(proxies.map(async (item) => optionsOf(novaConf(await configOf(item)))))
    expect(optionsOf(read('openstack-ansible/nova.conf'))).toEqual(printed.flat().toSorted())
    const names = ['nova_novncproxy_base_url', 'nova_serialconsoleproxy_base_url', 'nova_spice_html5proxy_base_url']
    const urls = names.map((name) => fill(variables[name]))
    expect(urls.toSorted()).toEqual(
      printed
        .flat()
        .map((option) => option.split(' = ')[1]!)
        .toSorted(),
    )
  })
})

/** Checks a configuration as `--check-config` does. @throws ConfigError for a fault */
const checked = (toml: string) => loadConfig(proxyConfig, { toml, refine: refineProxyConfig })

/** The options of a nova.conf, as `[group] name = value`, sorted. */
function optionsOf(conf: string): string[] {
  let group = ''
  const options: string[] = []
  for (const line of conf.split('\n')) {
    if (line.startsWith('[')) group = line
    else if (line !== '' && !line.startsWith('#')) options.push(`${group} ${line}`)
  }
  return options.toSorted()
}
