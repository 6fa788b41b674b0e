/** The table `policy`: the roles that each rule grants. */
import { table } from '@oriel/runtime'
import * as Type from 'typebox'
import { role } from './role.ts'
import { policyDefaults } from './rules.ts'

const roles = (rule: keyof typeof policyDefaults, description: string) =>
  Type.Array(role(), { default: [...policyDefaults[rule]], description })

export const policyConfig = table(
  {
    'os_compute_api:os-remote-consoles': roles('os_compute_api:os-remote-consoles', 'Roles that may create consoles.'),
    'os_compute_api:os-console-output': roles(
      'os_compute_api:os-console-output',
      'Roles that may read what a console has printed.',
    ),
    'os_compute_api:os-console-auth-tokens': roles(
      'os_compute_api:os-console-auth-tokens',
      'Roles that may look up console auth tokens: those of proxies.',
    ),
    'os_compute_api:servers:index': roles('os_compute_api:servers:index', 'Roles that may list servers.'),
    'os_compute_api:servers:detail': roles('os_compute_api:servers:detail', 'Roles that may list servers in full.'),
    'os_compute_api:servers:show': roles('os_compute_api:servers:show', 'Roles that may see a server.'),
    'oriel:sessions:admit': roles(
      'oriel:sessions:admit',
      'Roles that may admit and report sessions: those of proxies.',
    ),
    'oriel:serial-ports:hold': roles(
      'oriel:serial-ports:hold',
      'Roles that may learn every serial port and stay attached to them: those of proxies.',
    ),
    'oriel:sessions:list': roles('oriel:sessions:list', 'Roles that may list the sessions of their project.'),
    'oriel:sessions:end': roles('oriel:sessions:end', 'Roles that may end the sessions of their project.'),
    'oriel:sessions:invite': roles(
      'oriel:sessions:invite',
      'Roles that may invite to their own sessions, also from the console page; the role control needs os_compute_api:os-remote-consoles as well.',
    ),
    'oriel:console-auth-tokens:revoke': roles(
      'oriel:console-auth-tokens:revoke',
      'Roles that may revoke the tokens of a server.',
    ),
    'oriel:consoles:create': Type.Optional(
      Type.Array(role(), {
        description:
          'Roles that may create consoles with options; the role control needs os_compute_api:os-remote-consoles as well. Absent: the roles of that rule.',
      }),
    ),
    'oriel:screenshots:show': Type.Optional(
      Type.Array(role(), {
        description: 'Roles that may see screenshots. Absent: the roles of oriel:consoles:create.',
      }),
    ),
    'oriel:servers:list': Type.Optional(
      Type.Array(role(), {
        description:
          'Roles that may list servers with their consoles, as the home page of a proxy does. Absent: the roles of os_compute_api:servers:detail.',
      }),
    ),
  },
  { default: {}, description: 'Rule = roles that it grants.' },
)
