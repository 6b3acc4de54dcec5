#!/usr/bin/env bash
# Brings the schema of OAUTH2_DATABASE_URL (or OAUTH2_DATABASE_URL_FILE) up to date and lists its steps, with the binary
# that is there: bin/oauth2-server, one in PATH, or the image OAUTH2_SERVER_IMAGE. "scripts/migrate.sh status" only lists.
set -euo pipefail
built=$(dirname "$0")/../bin/oauth2-server

if [[ -z ${OAUTH2_DATABASE_URL:-}${OAUTH2_DATABASE_URL_FILE:-} ]]; then
	echo "set OAUTH2_DATABASE_URL, like postgres://oauth2_user:PASSWORD@HOST:5432/oauth2, or OAUTH2_DATABASE_URL_FILE, the file that holds it" >&2
	exit 2
fi

# In a container: on this machine's network, with a file mounted where it is here.
contained() {
	local options=(--rm --network host --env OAUTH2_DATABASE_URL) file
	if [[ -n ${OAUTH2_DATABASE_URL_FILE:-} ]]; then
		file=$(realpath "$OAUTH2_DATABASE_URL_FILE")
		options+=(--user "$(id -u)" --env OAUTH2_DATABASE_URL_FILE="$file" --volume "$file:$file:ro")
	fi
	docker run "${options[@]}" "${OAUTH2_SERVER_IMAGE:-oauth2-server:1.0.0}" "$@"
}

if [[ -x $built ]]; then
	server=$built
elif command -v oauth2-server >/dev/null; then
	server=oauth2-server
elif command -v docker >/dev/null; then
	server=contained
else
	echo "no oauth2-server: make build, put one into PATH, or install Docker" >&2
	exit 1
fi

[[ ${1:-} == status ]] || "$server" migrate
"$server" migrate status
