/**
 * Loads the built console pages once at start. Requests look a page up by its exact path, so that no path can leave the folder
 * and none causes a redirect (CVE-2021-3654, CVE-2024-23340).
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { type Coding, readCompressed } from './encodings.ts'

/** One representation of a file, with its response headers. */
export interface Representation {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
}

/** A file as it is, and compressed. */
export interface Page extends Representation {
  readonly compressed: ReadonlyMap<Coding, Representation>
}

/** Pages by their paths, such as `/assets/vnc-1a2b3c.js`. */
export type Pages = ReadonlyMap<string, Page>

export interface PageOptions {
  /** Further origins that may show the page in a frame. Default: only its own. */
  readonly frameAncestors?: readonly string[]
  /** The URL of the API for the home page, which may be relative to the page. Default: none. */
  readonly apiUrl?: string | undefined
  /** The console types that the home page offers. Default: none. */
  readonly consoles?: readonly string[]
}

/** The maximum size of the folder. A larger one cannot be console pages: the configured path is probably wrong. */
const MAX_FOLDER_BYTES = 64 * 1024 * 1024

/** The content types by extension. Other files are not served. */
const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mp3': 'audio/mpeg',
  '.oga': 'audio/ogg',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
}

/**
 * Loads the files of `folder`. Adds `/` as `index.html`, and `/oriel.json` with the settings of the home page.
 * @throws Error if the folder cannot be read, or is too large
 */
export async function loadPages(folder: string | undefined, options: PageOptions = {}): Promise<Pages> {
  const security = securityHeaders(options)
  const settings = Buffer.from(JSON.stringify({ api_url: options.apiUrl ?? null, consoles: options.consoles ?? [] }))
  const pages = new Map([['/oriel.json', page('/oriel.json', settings, security)]])
  if (folder === undefined) return pages
  for (const file of await filesOf(folder)) {
    const path = `/${relative(folder, file).split(sep).join('/')}`
    if (extname(path) in contentTypes && isWanted(path, options.consoles))
      pages.set(path, await readPage(path, file, security))
  }
  const home = pages.get('/index.html')
  if (home) pages.set('/', home)
  return pages
}

/** Whether to serve a file: third-party code for one console type is served only together with that type. */
function isWanted(path: string, consoles: readonly string[] = []): boolean {
  const type = /^\/third-party\/([^/]+)\//.exec(path)?.[1]
  return type === undefined || consoles.includes(type)
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (bytes > MAX_FOLDER_BYTES)
    throw new Error(`${folder} has ${bytes} bytes, but console pages have at most ${MAX_FOLDER_BYTES}: check the path`)
  return files
}

async function readPage(path: string, file: string, security: Readonly<Record<string, string>>): Promise<Page> {
  const body = await readFile(file)
  return page(path, body, security, await readCompressed(file, body))
}

function page(
  path: string,
  body: Buffer,
  security: Readonly<Record<string, string>>,
  copies: ReadonlyMap<Coding, Buffer> = new Map(),
): Page {
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  const headers = {
    ...security,
    'Content-Type': contentTypes[extname(path)]!,
    'Cache-Control': cacheControl(path),
    ...(copies.size > 0 && { Vary: 'Accept-Encoding' }),
  }
  const represent = (copy: Buffer, coding?: Coding): Representation => ({
    body: copy,
    headers: {
      ...headers,
      ...(coding && { 'Content-Encoding': coding }),
      'Content-Length': String(copy.length),
      // Each coding has its own tag: a cache must not send a client a coding that only another client accepts.
      ETag: coding === undefined ? `"${digest}"` : `"${digest}-${coding}"`,
    },
  })
  const compressed = new Map([...copies].map(([coding, copy]) => [coding, represent(copy, coding)]))
  return { ...represent(body), compressed }
}

/** Caches built assets for ever, because their names contain a digest. Browsers revalidate other files. */
function cacheControl(path: string): string {
  return /^\/assets\/.*[-.][\w-]{8,}\.\w+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache'
}

function securityHeaders({ frameAncestors = [], apiUrl }: PageOptions): Record<string, string> {
  const api = apiUrl === undefined || !URL.canParse(apiUrl) ? [] : [new URL(apiUrl).origin]
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    // The SPICE viewer plays sound and video from memory.
    "media-src 'self' blob:",
    ["connect-src 'self' ws: wss:", ...api].join(' '),
    "font-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    ["frame-ancestors 'self'", ...frameAncestors].join(' '),
  ]
  return {
    'Content-Security-Policy': policy.join('; '),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  }
}
