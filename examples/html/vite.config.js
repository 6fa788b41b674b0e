// In production the same server has both the page and `/console`.
export default { server: { proxy: { '/console': 'http://127.0.0.1:3000' } } }
