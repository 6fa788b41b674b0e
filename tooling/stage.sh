# To be sourced. `stage NAME COMMAND…` runs a command and appends its duration to the file $STAGES. The test runner prints
# that file as a table (tooling/vitest/stages.ts).
if [ -z "${STAGES:-}" ]; then
  STAGES=$(mktemp)
  export STAGES
  trap 'rm -f "$STAGES"' EXIT
fi

stage() {
  stage_name=$1
  stage_start=$(date +%s)
  shift
  printf '\n== %s\n' "$stage_name"
  stage_status=0
  "$@" || stage_status=$?
  printf '%s\t%s\n' "$stage_name" "$(($(date +%s) - stage_start))" >>"$STAGES"
  [ "$stage_status" = 0 ] || printf '== %s failed\n' "$stage_name" >&2
  return "$stage_status"
}
