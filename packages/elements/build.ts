/**
 * Builds the console pages into `dist/pages`: bundles each page's script, names every asset after its content, and
 * points the HTML at them relatively, so that the pages also work below a path prefix.
 *
 * Every script has its source map beside it. `--link-maps` names the map in the script, for browsers to find.
 */
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { type OutputChunk, rolldown } from 'rolldown'
import { filesBefore, smallestGzip, stripped, stripStyles } from './assets.ts'
import { englishHtml } from './english-html.ts'

const source = fileURLToPath(new URL('src/pages/', import.meta.url))
const built = fileURLToPath(new URL('dist/pages', import.meta.url))
/** Renamed to `built` when it is complete, so that a failing build leaves the existing pages unchanged. */
const target = `${built}.new`
const pages = readdirSync(source).flatMap((file) => (file.endsWith('.html') ? [file.slice(0, -'.html'.length)] : []))
const scripted = pages.filter((page) => existsSync(join(source, `${page}.ts`)))
/** Modules that share a chunk, because each chunk costs a request, and compresses alone: first those of almost every page, then those of consoles. */
const together = [
  {
    name: 'every-page',
    test: /\/(language\/(\w+|texts\/(elements|pages))|pages\/(dom|page-language)|plain-line|contract\/src\/(remedies|refusals|close-reasons|resume))\.ts$/,
    minShareCount: 3,
    priority: 2,
  },
  {
    name: 'console-pages',
    test: /\/(contract\/src\/(page-key|server-parameter|socket-address)|elements\/src\/(address|console-(card|element|end)|load-part|overlay|page-key|presence\/link|reconnect-plan|resumption|roving-focus|shared-element|pages\/(console-page|page-query)))\.ts$/,
    minShareCount: 3,
    priority: 1,
  },
]
const notice = '/*! Licences: THIRD-PARTY-NOTICES.txt */'

rmSync(target, { recursive: true, force: true })
mkdirSync(join(target, 'assets'), { recursive: true })
const chunks = await bundleScripts()
for (const page of pages) writeFileSync(join(target, `${page}.html`), buildPage(page, chunks))
writeFileSync(join(target, 'assets/THIRD-PARTY-NOTICES.txt'), thirdPartyNotices(chunks))
copySpiceHtml5(join(target, 'third-party/spice-html5'))
compressAll(target)
rmSync(built, { recursive: true, force: true })
renameSync(target, built)

async function bundleScripts(): Promise<OutputChunk[]> {
  const build = await rolldown({
    input: Object.fromEntries(scripted.map((page) => [page, join(source, `${page}.ts`)])),
    platform: 'browser',
    resolve: { conditionNames: ['@oriel/source', 'import', 'browser', 'default'] },
    logLevel: 'warn',
    plugins: [stripped],
  })
  const { output } = await build.write({
    dir: join(target, 'assets'),
    format: 'esm',
    entryFileNames: '[name]-[hash].js',
    chunkFileNames: 'shared-[hash].js',
    codeSplitting: { groups: together },
    minify: true,
    sourcemap: process.argv.includes('--link-maps') ? true : 'hidden',
    postBanner: ({ modules }) => (Object.keys(modules).some((id) => id.includes('/node_modules/')) ? notice : ''),
  })
  return output.filter((file) => file.type === 'chunk')
}

/** Returns the page's HTML, with every `href` and `src` of a neighbouring file replaced by that of the built asset. */
function buildPage(page: string, chunks: readonly OutputChunk[]): string {
  const script = chunks.find((chunk) => chunk.isEntry && chunk.name === page)
  const preloads = (script === undefined ? [] : filesBefore(script, chunks))
    .map((file) => `  <link rel="modulepreload" href="assets/${file}">\n`)
    .join('')
  return stripHtml(englishHtml(readFileSync(join(source, `${page}.html`), 'utf8')))
    .replace('</head>', `${preloads}</head>`)
    .replace(/(href|src)="([\w-]+\.(?:css|svg|ts))"/g, (_, attribute: string, file: string) => {
      const name = file === `${page}.ts` ? script!.fileName : writeAsset(file)
      return `${attribute}="assets/${name}"`
    })
}

/** Removes the indentation of the HTML, which has no text in which blanks count. */
function stripHtml(html: string): string {
  return html.replace(/\n\s+/g, '\n')
}

function writeAsset(file: string): string {
  const content = file.endsWith('.css')
    ? stripStyles(readFileSync(join(source, file), 'utf8'))
    : readFileSync(join(source, file))
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 8)
  const name = file.replace(/\.(\w+)$/, `-${hash}.$1`)
  writeFileSync(join(target, 'assets', name), content)
  return name
}

/**
 * Writes compressed copies beside the files of `folder`, which the proxy serves to clients that accept them. Leaves out source maps,
 * which browsers do not load by themselves, and files that compressing makes hardly smaller.
 */
function compressAll(folder: string): void {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(css|html|js|svg|txt)$/.test(file)) continue
    const content = readFileSync(join(folder, file))
    const options = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }
    const copies = { br: brotliCompressSync(content, options), gz: smallestGzip(content) }
    for (const [suffix, copy] of Object.entries(copies))
      if (copy.length < content.length * 0.9) writeFileSync(join(folder, `${file}.${suffix}`), copy)
  }
}

/** Returns the licence text and the source's address of every package in the bundles. */
function thirdPartyNotices(chunks: readonly OutputChunk[]): string {
  const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules)).filter((id) => id.includes('/node_modules/'))
  const folders = new Set(modules.map(packageFolder))
  return [...folders]
    .sort()
    .map(noticeOf)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function packageFolder(module: string): string {
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(module)
  if (match === null) throw new Error(`${module} is in no package`)
  return match[1]!
}

function noticeOf(folder: string): string {
  const { name, version, license, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const texts = licenceFiles(folder).map((file) => readFileSync(file, 'utf8').trim())
  if (texts.length === 0) throw new Error(`${name} has no licence file`)
  const url = String(repository?.url ?? repository)
    .replace(/^git\+/, '')
    .replace(/\.git$/, '')
  return `${name} ${version}\nLicence: ${license}\nSource: ${url}, tag v${version}; bundled unmodified.\n\n${texts.join('\n\n')}\n`
}

// noVNC has the full text of its licence in another folder, and contains pako. The package of one addon of xterm.js lacks its text.
function licenceFiles(folder: string): string[] {
  if (folder.endsWith('/@xterm/addon-serialize'))
    return licenceFiles(packageFolder(fileURLToPath(import.meta.resolve('@xterm/xterm'))))
  const inside = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file))
  const apart = ['docs/LICENSE.MPL-2.0', 'vendor/pako/LICENSE'].filter((file) => existsSync(join(folder, file)))
  return [...inside, ...apart].map((file) => join(folder, file))
}

/**
 * Copies spice-html5 beside the pages. It is under the LGPL, so it is neither bundled nor changed: an operator can
 * replace its files. Adds both licence texts. Omits the files for browsers without modules.
 */
function copySpiceHtml5(to: string): void {
  const from = packageFolder(fileURLToPath(import.meta.resolve('@spice-project/spice-html5')))
  const { name, version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
  cpSync(join(from, 'src'), join(to, 'src'), {
    recursive: true,
    dereference: true,
    filter: (file) => !file.includes('browser-es-module-loader'),
  })
  for (const text of ['COPYING', 'COPYING.LESSER']) copyFileSync(join(from, text), join(to, `${text}.txt`))
  writeFileSync(
    join(to, 'README.txt'),
    [
      `The screen of spice_auto.html is drawn by ${name} ${version}, Copyright (C) by its authors.`,
      `It is free software under ${license}: see COPYING.LESSER.txt and COPYING.txt beside this file.`,
      'Its source is the files in src/, unmodified. To use another version, replace them.',
      'https://gitlab.freedesktop.org/spice/spice-html5\n',
    ].join('\n'),
  )
}
