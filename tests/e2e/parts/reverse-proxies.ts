/** Starts nginx, Apache, Caddy and HAProxy with the files of deploy/reverse-proxies/. */
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, temporaryFolder } from '@oriel/testkit'
import { startAccepting } from './accepting.ts'

export const reverseProxyNames = ['nginx', 'apache', 'caddy', 'haproxy'] as const
export type ReverseProxyName = (typeof reverseProxyNames)[number]

export interface ReverseProxyOptions {
  /** The two proxies, as `host:port`. */
  readonly proxies: readonly [string, string]
  /** A folder with `server-cert.pem` and `server-key.pem`. */
  readonly pki: string
}

export interface ReverseProxy extends AsyncDisposable {
  /** Its port of 127.0.0.1, with TLS. */
  readonly port: number
}

/** Where a reverse proxy runs. */
interface Place {
  readonly port: number
  /** Of this reverse proxy alone. */
  readonly folder: string
}

interface ReverseProxyKind {
  readonly file: string
  /** Returns the replacements of the examples that only this file has. */
  replace(place: Place): Readonly<Record<string, string>>
  /** Returns what the system's own main file adds. */
  main(place: Place): { readonly file: string; readonly text: string } | undefined
  command(place: Place): { readonly command: string; readonly args: string[]; readonly env?: Record<string, string> }
}

/** Starts a reverse proxy with its file of deploy/. Resolves when it accepts connections. */
export async function startReverseProxy(name: ReverseProxyName, options: ReverseProxyOptions): Promise<ReverseProxy> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder()).path
  const place = { port: await freePort(), folder }
  const kind = kinds[name]
  await chmod(folder, 0o755) // Apache's workers have a user of their own
  await writeFile(join(folder, 'console.pem'), await bundle(options.pki))
  await writeFile(join(folder, kind.file), await configOf(kind, place, options))
  const main = kind.main(place)
  if (main) await writeFile(join(folder, main.file), main.text)
  scope.use(await startAccepting(kind.command(place), place.port))
  const rest = scope.move()
  return { port: place.port, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** HAProxy reads certificate and key from one file. */
const bundle = async (pki: string) =>
  (await Promise.all(['cert', 'key'].map((part) => readFile(join(pki, `server-${part}.pem`), 'utf8')))).join('')

/** Returns the file of deploy/ with other addresses, names and paths. @throws Error if an example is missing or remains */
async function configOf(kind: ReverseProxyKind, place: Place, { proxies, pki }: ReverseProxyOptions): Promise<string> {
  let config = await readFile(deployed(kind.file), 'utf8')
  const certificates = kind.file === 'haproxy.cfg' ? {} : certificatesOf(pki)
  const examples = {
    '10.0.0.11:6080': proxies[0],
    '10.0.0.12:6080': proxies[1],
    ...certificates,
    ...kind.replace(place),
  }
  for (const [example, value] of Object.entries(examples)) {
    if (!config.includes(example)) throw new Error(`deploy/reverse-proxies/${kind.file} has no ${example}`)
    config = config.replaceAll(example, value)
  }
  const rest = /^(?!\s*#).*(?:10\.0\.0|\/etc\/|example\.org).*/m.exec(config)
  if (rest) throw new Error(`deploy/reverse-proxies/${kind.file} still has ${rest[0]}`)
  return config
}

const deployed = (file: string) => fileURLToPath(new URL(`../../../deploy/reverse-proxies/${file}`, import.meta.url))

const certificatesOf = (pki: string) => ({
  '/etc/ssl/console/fullchain.pem': join(pki, 'server-cert.pem'),
  '/etc/ssl/console/privkey.pem': join(pki, 'server-key.pem'),
})

const kinds: Readonly<Record<ReverseProxyName, ReverseProxyKind>> = {
  nginx: {
    file: 'nginx.conf',
    replace: ({ port }) => ({ 'listen 443 ': `listen 127.0.0.1:${port} `, 'console.example.org;': '127.0.0.1;' }),
    main: ({ folder }) => ({ file: 'main.conf', text: nginxMain(folder) }),
    command: ({ folder }) => ({ command: '/usr/sbin/nginx', args: ['-p', folder, '-c', join(folder, 'main.conf')] }),
  },
  apache: {
    file: 'apache.conf',
    replace: ({ port }) => ({ '*:443': `127.0.0.1:${port}`, 'ServerName console.example.org': 'ServerName 127.0.0.1' }),
    main: ({ port, folder }) => ({ file: 'main.conf', text: apacheMain(port, folder) }),
    command: ({ folder }) => ({
      command: '/usr/sbin/apache2',
      args: ['-d', folder, '-f', join(folder, 'main.conf'), '-DFOREGROUND'],
      env: { APACHE_LOG_DIR: folder },
    }),
  },
  caddy: {
    file: 'Caddyfile',
    replace: ({ port }) => ({ 'console.example.org {': `https://127.0.0.1:${port} {` }),
    // Without its admin port, and the redirects from port 80.
    main: ({ folder }) => ({
      file: 'main',
      text: `{\n  admin off\n  auto_https disable_redirects\n}\nimport ${join(folder, 'Caddyfile')}\n`,
    }),
    command: ({ folder }) => ({
      command: 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', join(folder, 'main')],
      env: { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    }),
  },
  haproxy: {
    file: 'haproxy.cfg',
    replace: ({ port, folder }) => ({
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/console.pem': join(folder, 'console.pem'),
      'console.example.org }': '127.0.0.1 }',
    }),
    main: () => undefined,
    command: ({ folder }) => ({ command: 'haproxy', args: ['-db', '-f', join(folder, 'haproxy.cfg')] }),
  },
}

const nginxMain = (folder: string) => `
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 256; }
http {
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  include ${folder}/nginx.conf;
}
`

const MODULES = 'authz_core ssl http2 headers rewrite proxy proxy_http proxy_balancer lbmethod_byrequests slotmem_shm'

const apacheMain = (port: number, folder: string) => `
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
${MODULES.split(' ')
  .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
  .join('\n')}
User www-data
Group www-data
ServerName 127.0.0.1
PidFile ${folder}/apache.pid
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
ErrorLog ${folder}/error.log
Listen 127.0.0.1:${port}
Include ${folder}/apache.conf
`
