/** Generates docs/api.html, the API reference: each operation and member with the microversions that have it. */
import {
  API_VERSION,
  BASE_PATH,
  EARLIEST,
  EXTENSION_PATH,
  type ExtensionRoute,
  extensionRoutes,
  faultKeys,
  history,
  type Route,
  routes,
} from '@oriel/contract'
import { type Schema, spanOf, typeOf } from './schema.ts'

type AnyRoute = Pick<Route, 'path' | 'summary'> & { readonly method: string } & Partial<Route> & Partial<ExtensionRoute>

/** Returns the page: one self-contained file without scripts. */
export function referencePage(): string {
  const nova = Object.entries<AnyRoute>(routes as unknown as Record<string, AnyRoute>)
  const own = Object.entries<AnyRoute>(extensionRoutes as unknown as Record<string, AnyRoute>)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Oriel API reference</title>
<style>${STYLE}</style>
<header><h1>Oriel API reference</h1>
<p>API ${API_VERSION} from microversion ${EARLIEST}. A running API names its latest at <code>${BASE_PATH}</code>, and serves each as
OpenAPI 3.1 at <code>/openapi/{microversion}.json</code>, and at <code>/openapi/oriel-v1.json</code> of Oriel's extension. This page is made of the contract by <code>npm run docs</code>.</p></header>
<nav><h2>Operations</h2><ul>${[...nova, ...own].map(([name, route]) => `<li><a href="#${name}">${text(route.summary)}</a></li>`).join('')}</ul></nav>
<main>
<section><h2>What changed when</h2><table><tr><th>microversion<th>change${Object.entries(history)
    .map(([version, change]) => `<tr><td>${version}<td>${text(change)}`)
    .join('')}</table></section>
<section><h2>Faults</h2><p>Every error is <code>{"&lt;key&gt;": {"code": &lt;status&gt;, "message": "&lt;text&gt;"}}</code>; any other status stands under <code>computeFault</code>.</p><table><tr><th>status<th>key${Object.entries(
    faultKeys,
  )
    .map(([status, key]) => `<tr><td>${status}<td><code>${key}</code>`)
    .join('')}</table></section>
${nova.map(([name, route]) => operation(name, route, BASE_PATH)).join('')}
${own.map(([name, route]) => operation(name, route, EXTENSION_PATH)).join('')}
</main>
</html>
`
}

function operation(name: string, route: AnyRoute, base: string): string {
  const span = spanOf(route as Schema)
  return `<section id="${name}"><h2>${text(route.summary)}</h2>
<p><code>${route.method} ${base}${text(route.path)}</code> ${span && `<span class="span">${span}</span>`}</p>
${route.policy ? `<p>Policy: <code>${text(route.policy)}</code></p>` : ''}
${members('Query', route.query as Schema | undefined)}${members('Body', route.body as Schema | undefined)}${members('Answer', route.response as Schema)}</section>
`
}

function members(title: string, schema: Schema | undefined): string {
  const rows = schema ? rowsOf(schema, '') : []
  if (rows.length === 0) return ''
  return `<h3>${title}</h3><table><tr><th>member<th>value<th>microversions<th>meaning${rows.join('')}</table>`
}

function rowsOf(schema: Schema, path: string): string[] {
  const variants = (schema.anyOf ?? []).filter((variant) => variant.properties)
  const inside = schema.items?.properties ? rowsOf(schema.items, `${path}[]`) : []
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const at = path ? `${path}.${name}` : name
    const optional = schema.required?.includes(name) ? '' : ' <i>optional</i>'
    const below = rowsOf(member, at)
    return [
      `<tr><td><code>${text(at)}</code>${optional}<td>${valuesOf(member)}<td>${spanOf(member)}<td>${text(member.description ?? '')}`,
      ...below,
    ]
  })
  return [...own, ...inside, ...variants.flatMap((variant) => rowsOf(variant, path))]
}

/** Returns a type's text. A union of constants lists each constant with its microversions. */
function valuesOf(schema: Schema): string {
  if (!schema.anyOf?.every((member) => member.const !== undefined)) return text(typeOf(schema))
  return schema.anyOf
    .map(
      (member) =>
        `<code>${text(String(member.const))}</code> ${spanOf(member)}${member.deprecated ? ' <s>refused</s>' : ''}`,
    )
    .join('<br>')
}

const text = (value: string) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;padding:2rem 1.25rem;max-width:68rem}
h2{margin-top:2.5rem}nav ul{columns:18rem;padding-left:1.2rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem;display:block;overflow-x:auto}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--line)}
code{font:.92em ui-monospace,monospace}.span{border:1px solid var(--line);border-radius:1em;padding:0 .6em;font-size:.85em}
section{scroll-margin-top:1rem}`
