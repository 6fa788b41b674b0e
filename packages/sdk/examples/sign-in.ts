import { applicationCredential, createClient, keystonePassword } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

/** Signs in as a program. The endpoint comes from Keystone's catalogue. */
export const service = (secret: string) =>
  createClient({
    auth: applicationCredential({ authUrl: 'https://keystone.example', id: 'b7f2…', secret, region: 'north' }),
  })

/** Signs in as a user with a password. The domains default to `default`. */
export const user = (password: string) =>
  createClient({
    auth: keystonePassword({ authUrl: 'https://keystone.example/v3', username: 'alice', password, projectName: 'web' }),
  })

/** Reads `OS_CLOUD`, `clouds.yaml` or an openrc file, like the `openstack` command. */
export const asTheShellSays = () => createClient(fromEnvironment())
