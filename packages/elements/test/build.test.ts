/** The pages' sources, held to what their Content-Security-Policy allows and to the rule that texts are never markup. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { filesBefore, smallestGzip } from '../assets.ts'
import { modulesOf, scriptsAtOnce } from './bundled.ts'

/** Compressed: the scripts that a browser loads before it can show a screen. Layouts and fonts come later. */
const MAX_VNC_SCRIPT_BYTES = 75_000

const folder = new URL('../src/', import.meta.url)
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
const read = (file: string) => readFileSync(new URL(file, folder), 'utf8')

describe.each(files.filter((file) => file.endsWith('.html')))('%s', (file) => {
  const html = read(file)

  it('has no inline script, style or handler', () => {
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i)
    for (const [script] of html.matchAll(/<script[^>]*>[^<]*<\/script>/g))
      expect(script).toMatch(/ src="[\w-]+\.ts"><\/script>$/)
  })

  it('loads nothing from another origin', () => {
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//)
  })
})

it.each(files.filter((file) => file.endsWith('.ts')))(
  '%s never parses text as HTML (CVE-2012-2094, CVE-2017-18635)',
  (file) => {
    expect(read(file)).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|createContextualFragment/,
    )
  },
)

/** Their importers do without them, or report in another way that they are missing. */
const loadedWithoutReport = [
  ...['./de.ts', './fr.ts', './es.ts', './ja.ts', './html-texts.ts', './unopened.ts'].map((file) => `'${file}'`),
  ...['../vnc.ts', '../serial.ts', '../spice.ts', '@spice-project/spice-html5'].map((file) => `'${file}'`),
  'address',
]

it('loads every part through loadPart, which reports one that is missing', () => {
  const scripts = files.filter((file) => file.endsWith('.ts')).map(read)
  const bare = /(?<!loadPart\(\(\) => )import\((?:\/\*.*?\*\/ )*([^)]+)\)/g
  const found = scripts.flatMap((script) => [...script.matchAll(bare)].map(([, part]) => part))
  expect(found.sort()).toEqual(loadedWithoutReport.sort())
})

it('CVE-2017-18635 noVNC: the bundled noVNC is a fixed version', () => {
  const manifest = new URL('../package.json', import.meta.resolve('@novnc/novnc'))
  const [major, minor] = JSON.parse(readFileSync(manifest, 'utf8')).version.split('.').map(Number)
  expect(major * 1_000 + minor).toBeGreaterThanOrEqual(1_007)
})

it('loads at most 75 kB of scripts before a VNC screen can be shown', async () => {
  const sizes = (await scriptsAtOnce('pages/vnc.ts')).map((code) => smallestGzip(Buffer.from(code)).byteLength)
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(MAX_VNC_SCRIPT_BYTES)
})

it('names the imports of imports too, so that no script waits until another one is read', () => {
  const chunks = [
    { fileName: 'screen.js', imports: ['texts.js', 'dom.js'] },
    { fileName: 'texts.js', imports: ['translate.js'] },
    { fileName: 'dom.js', imports: [] },
    { fileName: 'translate.js', imports: ['texts.js'] },
    { fileName: 'later.js', imports: [] },
  ]
  expect(filesBefore({ imports: ['dom.js', 'screen.js'] }, chunks).toSorted()).toEqual([
    'dom.js',
    'screen.js',
    'texts.js',
    'translate.js',
  ])
})

it.each(['vnc', 'serial', 'spice_auto'])('keeps spice-html5 out of the bundle of %s.html', async (page) => {
  expect((await modulesOf(`pages/${page}.ts`)).filter((module) => module.includes('spice-html5'))).toEqual([])
})
