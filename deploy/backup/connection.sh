# What dump.sh, restore.sh and check.sh share; it is sourced.
set -euo pipefail
umask 077

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# value NAME is the variable NAME, or what the file holds that NAME_FILE names.
value() {
  local file="${1}_FILE"
  if [ -n "${!1:-}" ]; then
    printf %s "${!1}"
  elif [ -n "${!file:-}" ]; then
    [ -r "${!file}" ] || die "$file: ${!file} cannot be read"
    tr -d '\r\n' < "${!file}"
  fi
}

decoded() { printf '%b' "${1//%/\\x}"; } # %XX of a URL

# connect NAME sets DSN to the URL in the variable NAME, without the password: that goes through the environment, where the list of
# processes does not show it.
connect() {
  local url rest userinfo
  url=$(value "$1")
  [ -n "$url" ] || die "$1 is not set: postgres://USER:PASSWORD@HOST:PORT/NAME, or $1_FILE, a file that holds it"
  [[ $url =~ ^(postgres(ql)?://)(([^/?#]*)@)?(.*)$ ]] || die "$1 is no URL of Postgres: of an embedded database, \"oauth2-server database backup\" makes a copy"
  userinfo=${BASH_REMATCH[4]} rest=${BASH_REMATCH[5]}
  DSN=${BASH_REMATCH[1]}
  [[ $rest != *password=* ]] || die "$1: give the password before the @, where it can be kept out of the list of processes"
  if [ -n "${BASH_REMATCH[3]}" ]; then
    DSN+="${userinfo%%:*}@"
    if [[ $userinfo == *:* ]]; then
      PGPASSWORD=$(decoded "${userinfo#*:}")
      export PGPASSWORD
    fi
  fi
  DSN+=$rest
  export PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-10} PGAPPNAME=oauth2-backup
}

query() { psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$DSN" -c "set statement_timeout = 0" -c "$1"; }

# program NAME -eq|-ge MAJOR finds NAME of that version of Postgres, or of that or a newer one: in PATH, or where distributions keep it.
program() {
  local path
  for path in "$(command -v "$1" || true)" /usr/lib/postgresql/*/bin/"$1" /usr/pgsql-*/bin/"$1"; do
    if [ -x "$path" ] && [[ $("$path" --version) =~ \ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" "$2" "$3" ]; then
      echo "$path"
      return
    fi
  done
  die "there is no $1 of Postgres $3: install it, on Debian with: apt-get install postgresql-client-$3"
}

# Exactly the rows of each table of ours, as "name count"; oauth2-server database check counts the same.
sql_counts="select c.relname || ' ' || (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname, c.relname), false, true, '')))[1]::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relnamespace = (select relnamespace from pg_class where oid = 'changes'::regclass) order by c.relname collate \"C\""

# Codes and pushed requests live for minutes, and none is worth anything after a restore: a dump has their tables, not their rows.
left_out='^(codes|pushed) '

# counted FILE is the same of a dump, read to its end: a dump that was cut or damaged fails here.
counted() {
  "$pg_restore" --data-only -f - "$1" | awk '
    !table && /^COPY / { table = $2; sub(/^.*\./, "", table); gsub(/"/, "", table); n = 0; next }
    table && $0 == "\\." { print table, n; table = ""; next }
    table { n++ }' | LC_ALL=C sort
}

# promised FILE is the same of the manifest beside it.
promised() { sed -n 's/^    "\([^"]*\)": \([0-9]*\),\{0,1\}$/\1 \2/p' "$1.json" | LC_ALL=C sort; }

# field NAME FILE is a value of the manifest beside FILE.
field() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2.json"; }
