#!/bin/sh
# `npm run check`: runs all stages of `npm test` except for the installation. `npm run check -- static` runs those before the
# tests, and `npm run check -- tests` only the tests.
set -eu
cd "$(dirname "$0")/.."
. tooling/stage.sh
part=${1:-all}
case $part in all | static | tests) ;; *) echo "usage: npm run check [-- static|tests]" >&2 && exit 2 ;; esac
if [ "$part" != tests ]; then
  stage lint biome ci .
  stage prose npm run --silent prose
  stage 'package boundaries' npm run --silent boundaries
  stage 'import rule' npm run --silent graph -- --check
  stage build npm run --silent build:all
  stage types npm run --silent typecheck
fi
if [ "$part" != static ]; then node tooling/vitest/run-tests.ts; fi
