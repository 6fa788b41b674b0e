#!/bin/sh
# `npm run check`: runs all stages of `npm test` except for the installation.
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
