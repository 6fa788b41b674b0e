#!/bin/sh
# `npm run check`: everything that `npm test` does after the installation, in named stages.
set -eu
cd "$(dirname "$0")/.."
. tooling/stage.sh
stage lint biome ci .
stage prose npm run --silent prose
stage 'package boundaries' npm run --silent boundaries
stage 'import rule' npm run --silent graph -- --check
stage build npm run --silent build:all
stage types npm run --silent typecheck
node tooling/vitest/run-tests.ts
