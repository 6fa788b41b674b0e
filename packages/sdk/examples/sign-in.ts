import { applicationCredential, createClient, keystonePassword } from '@oriel/sdk'
import { fromEnvironment } from '@oriel/sdk/node'

/** A program of its own: the endpoint comes from Keystone's catalogue. */
export const service = (secret: string) =>
  createClient({
    auth: applicationCredential({ authUrl: 'https://keystone.example', id: 'b7f2…', secret, region: 'north' }),
  })

/** A user with a password. Domains that are not given are `default`. */
export const user = (password: string) =>
  createClient({
    auth: keystonePassword({ authUrl: 'https://keystone.example/v3', username: 'alice', password, projectName: 'web' }),
  })

/** Whatever `OS_CLOUD`, `clouds.yaml` or an openrc file says, as the `openstack` command reads them. */
export const asTheShellSays = () => createClient(fromEnvironment())
