/**
 * The query parameter with the server's id, beside the token. A balancer that chooses the proxy by it brings all viewers of a
 * server to the same one. Proxies and pages of other projects ignore it.
 */
export const SERVER_PARAMETER = 'server'
