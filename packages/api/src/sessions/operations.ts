/** The handlers for the extension's routes about sessions. */
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { admitSession } from './admit.ts'
import { beat } from './beat.ts'
import { createConsole } from './create-console.ts'
import type { SessionDeps } from './deps.ts'
import { endSession } from './end.ts'
import { followConsole } from './follow.ts'
import { createInvitation, listInvitations, revokeInvitation } from './invite.ts'
import { listSessions } from './list.ts'
import { locateConsole } from './locate.ts'
import { createPageInvitation, listPageInvitations, revokePageInvitation } from './page-invitations.ts'
import { groupProxy, holdPort, releasePort, showPort } from './ports.ts'
import { revokeTokens } from './revoke.ts'
import { awaitSharedConsoles, moveControl } from './shared-consoles.ts'

export const sessionOperations = (deps: SessionDeps) =>
  ({
    admitSession: admitSession(deps),
    locateConsole: locateConsole(deps),
    followConsole: followConsole(deps),
    beat: beat(deps),
    awaitSharedConsoles: awaitSharedConsoles(deps),
    moveControl: moveControl(deps),
    holdPort: holdPort(deps),
    groupProxy: groupProxy(deps),
    showPort: showPort(deps),
    releasePort: releasePort(deps),
    createConsole: createConsole(deps),
    listSessions: listSessions(deps),
    endSession: endSession(deps),
    createInvitation: createInvitation(deps),
    listInvitations: listInvitations(deps),
    revokeInvitation: revokeInvitation(deps),
    createPageInvitation: createPageInvitation(deps),
    listPageInvitations: listPageInvitations(deps),
    revokePageInvitation: revokePageInvitation(deps),
    revokeTokens: revokeTokens(deps),
  }) satisfies Partial<ExtensionOperations>
