#!/usr/bin/env bash
# Runs COMMAND in DIRECTORY with ARGUMENTS: text in the log, annotations, and a report for the comment.
set -euo pipefail

# xargs knows quotes as a shell does, and runs nothing that is in them.
xargs --no-run-if-empty printf '%s\0' <<<"${ARGUMENTS:-}" >"$RUNNER_TEMP/appcred-arguments"
mapfile -d '' -t arguments <"$RUNNER_TEMP/appcred-arguments"
case $COMMAND in
  validate) [ "${STRICT:-true}" = true ] && arguments+=(--strict) ;;
  plan) arguments+=(--detailed-exitcode) ;;
  apply) arguments+=(--yes) ;;
  *)
    echo "::error title=appcred::unknown command: use validate, plan or apply"
    exit 1
    ;;
esac

status=0
appcred -C "$DIRECTORY" "$COMMAND" "${arguments[@]}" \
  --format text --format github --format "markdown=$RUNNER_TEMP/appcred.md" || status=$?

changes=false
if [ "$COMMAND" = plan ] && [ "$status" = 2 ]; then
  changes=true
  status=0
fi
echo "changes=$changes" >>"$GITHUB_OUTPUT"
exit "$status"
