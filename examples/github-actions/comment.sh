#!/usr/bin/env bash
# Writes the report as a comment of pull request NUMBER, or replaces the one that is there: its first
# line, which is hidden, is the same in every report.
set -euo pipefail

report=$RUNNER_TEMP/appcred.md
MARKER=$(sed -n 1p "$report")
export MARKER
comments=repos/$GITHUB_REPOSITORY/issues
id=$(gh api --paginate "$comments/$NUMBER/comments" \
  --jq '.[] | select(.user.type == "Bot" and (.body | startswith(env.MARKER))) | .id' | sed -n 1p)
if [ -n "$id" ]; then
  gh api --silent --method PATCH "$comments/comments/$id" --field "body=@$report"
else
  gh api --silent --method POST "$comments/$NUMBER/comments" --field "body=@$report"
fi
