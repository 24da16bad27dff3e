#!/usr/bin/env bash
# Registers a runner for one job, and stores the configuration that GitHub answers. An argument names other settings.
# Fails while the secret does not exist or GitHub refuses; systemd then runs it again.
set -euo pipefail
umask 077
# shellcheck source=/dev/null
. "${1:-/etc/runner/settings}"
directory=${DIRECTORY:-/run/runner}
answer=$(mktemp --tmpdir="$directory")
trap 'rm -f "$answer"' EXIT

# request WHAT STATUS CURL-ARGUMENT...: expects this status. The header with a secret is passed on stdin, because
# arguments are visible in the process list; an answer is not shown, because it contains a secret
request () {
  local status
  status=$(curl --silent --show-error --noproxy '*' --max-time 30 --output "$answer" --write-out '%{http_code}' \
    --header @- "${@:3}") || { echo "$1 cannot be reached" >&2; return 1; }
  if [ "$status" != "$2" ]; then
    echo "$1 answers $status instead of $2" >&2
    return 1
  fi
}

field () { jq --exit-status --raw-output "$1" "$answer"; }

query="api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=$CLIENT_ID"
request "The machine's identity" 200 "$IDENTITY_URL/metadata/identity/oauth2/token?$query" <<< 'Metadata: true'
token=$(field .access_token)

# 404 until somebody stores it, 403 while the role is new
request "The vault, asked for ${SECRET_URL##*/}," 200 "$SECRET_URL?api-version=7.4" <<< "Authorization: Bearer $token"
token=$(field .value)

# Names of runners are unique
name=$LABEL-$(hostname)-$(date +%s)
body=$(jq --null-input --compact-output --arg name "$name" --arg own "$LABEL" \
  '{ name: $name, runner_group_id: 1, labels: [$own], work_folder: "_work" }')
request "GitHub, asked for a runner of $REPOSITORY," 201 "$GITHUB_URL/repos/$REPOSITORY/actions/runners/generate-jitconfig" \
  --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' --data "$body" \
  <<< "Authorization: Bearer $token"
configuration=$(field .encoded_jit_config)
# Only the runner's user can enter the directory of the unit
(umask 022; echo "$configuration" > "$directory/configuration")
echo "$name is registered"
