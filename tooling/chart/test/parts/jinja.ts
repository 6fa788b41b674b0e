/** Fills Jinja2 templates as Ansible's module `template` does. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { requirement } from '@oriel/testkit'

const python = '/usr/bin/python3'

export const requiresJinja = () =>
  requirement('Jinja2', existsSync('/usr/lib/python3/dist-packages/jinja2'), 'run tests/install-debian-packages')

// Ansible's own filters, and Kolla-Ansible's `kolla_address`, as far as the templates use them.
const program = `
import json, sys
from jinja2 import Environment, StrictUndefined
given = json.load(sys.stdin)
env = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=given["lstrip"], keep_trailing_newline=True)
env.filters["bool"] = lambda value: value in (True, "yes", "true", "True", 1)
env.filters["to_json"] = json.dumps
env.filters["kolla_address"] = lambda network, host: given["variables"]["addresses"][host]
env.filters["extract"] = lambda host, table, key: table[host][key]
sys.stdout.write(env.from_string(given["template"]).render(**given["variables"]))
`

/** Returns the filled template. @throws Error if a variable is not defined */
export function jinja(template: string, variables: object): string {
  const [first, ...rest] = template.split('\n')
  const hasHeader = first!.startsWith('#jinja2:')
  const input = { template: hasHeader ? rest.join('\n') : template, variables, lstrip: hasHeader }
  return execFileSync(python, ['-c', program], { input: JSON.stringify(input), encoding: 'utf8', timeout: 20_000 })
}
