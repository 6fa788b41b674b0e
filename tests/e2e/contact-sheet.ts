/**
 * `npm run sheet`: takes a picture of each page in each state, in both colour schemes, on a desktop and on two phones, and shows all of
 * them in one page, `contact-sheet/index.html`, which is not part of the repository. `npm run sheet -- de ja` does so in these
 * languages. Prints the texts that do not fit.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChromium } from '@oriel/testkit/chromium'
import type { Page } from 'playwright-core'
import { pageStates, startPages } from './parts/page-states.ts'

const folder = fileURLToPath(new URL('../../contact-sheet/', import.meta.url))
const devices = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  'narrow phone': { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
}
const schemes = ['light', 'dark'] as const
const languages = process.argv.length > 2 ? process.argv.slice(2) : ['en']

await rm(folder, { recursive: true, force: true })
await mkdir(folder)
await using browser = await startChromium()
await using pages = await startPages()
const sections: string[] = []
for (const language of languages)
  for (const [device, options] of Object.entries(devices))
    for (const colorScheme of schemes)
      sections.push(await picturesOf(`${language} ${device}`, { ...options, colorScheme }, language))
await writeFile(join(folder, 'index.html'), sheet(sections))
process.stdout.write(`${join(folder, 'index.html')}\n`)

type Options = (typeof devices)['desktop'] & { colorScheme: 'light' | 'dark' }

async function picturesOf(title: string, options: Options, language: string) {
  const { colorScheme, viewport } = options
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  const figures: string[] = []
  for await (const { name, page } of pageStates(context, pages.home, `?language=${language}`)) {
    const file = `${title} ${colorScheme} ${name}.png`.replaceAll(' ', '-')
    await page.screenshot({ path: join(folder, file) })
    figures.push(`<figure><img src="${file}" width="${viewport.width / 2}"><figcaption>${name}</figcaption></figure>`)
    for (const text of await cutTexts(page)) process.stdout.write(`${title}, ${name}: does not fit: ${text}\n`)
  }
  await context.close()
  return `<h2>${title}, ${colorScheme}</h2><div>${figures.join('')}</div>`
}

/** Returns the texts that are wider than their element, or beyond the edges of the page. */
function cutTexts(page: Page): Promise<string[]> {
  return page.evaluate<
    string[]
  >(`[...document.querySelectorAll('button, h1, h2, p, label, legend, .tool span')].filter((element) => {
    const { width, left, right } = element.getBoundingClientRect()
    const { display, clipPath } = getComputedStyle(element)
    if (width === 0 || clipPath !== 'none') return false
    const overflows = display !== 'inline' && element.scrollWidth > element.clientWidth + 1
    return overflows || left < -1 || right > innerWidth + 1
  }).map((element) => element.textContent.trim())`)
}

function sheet(sections: readonly string[]): string {
  const style = 'body{font-family:sans-serif;background:#888}div{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}'
  return `<!doctype html><meta charset="utf-8"><title>Contact sheet</title><style>${style}</style>${sections.join('')}\n`
}
