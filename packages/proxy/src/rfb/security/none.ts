/** Security type None (RFC 6143 section 7.2.1): no messages, and no protection. */
import { securityTypes } from '../wire/protocol.ts'
import type { SecurityType } from './security-type.ts'

export const none: SecurityType = { number: securityTypes.None, secure: async () => {} }
