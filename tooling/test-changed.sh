#!/bin/sh
# `npm run test:changed -- [COMMIT]`: runs the unit tests that import a changed file, in the packages that changed since
# COMMIT (default: HEAD). Other packages are left to `npm test`: they import index files, so all their tests would run.
set -eu
since=${1:-HEAD}
packages=$({ git diff --name-only "$since" && git ls-files --others --exclude-standard; } | cut -d/ -f1-2 | sort -u)
# shellcheck disable=SC2086 # one word for each package
exec vitest run --project unit --changed "$since" $packages
