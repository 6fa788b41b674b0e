#!/bin/sh
# `npm run test:changed -- [COMMIT]`: in the packages that changed since COMMIT (default: the last one), the unit tests that
# import a changed file. Whether dependants still pass is for `npm test`: an index file imports everything for everybody.
set -eu
since=${1:-HEAD}
packages=$({ git diff --name-only "$since" && git ls-files --others --exclude-standard; } | cut -d/ -f1-2 | sort -u)
# shellcheck disable=SC2086 # one word a package
exec vitest run --project unit --changed "$since" $packages
