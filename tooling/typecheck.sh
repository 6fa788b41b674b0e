#!/bin/sh
# `npm run typecheck`: the workspace in one program, and the pages, whose types are the browser's.
set -eu
cd "$(dirname "$0")/.."
known=node_modules/.cache/tsc/workspace.tsbuildinfo
# tsc remembers an unknown import until the importing file changes, even if an installation has added the package since.
if [ node_modules/.pnpm/lock.yaml -nt "$known" ]; then rm -f "$known"; fi
tsc -p tsconfig.json
tsc -p packages/elements/tsconfig.json
