#!/usr/bin/env bash
# Dumps the database of OAUTH2_DATABASE_URL (or OAUTH2_DATABASE_URL_FILE) to FILE, while it is in use, and writes FILE.json beside it: how
# many rows each table has, in the same snapshot, and the file's SHA-256. FILE is whole once it has its name.
source "$(dirname "${BASH_SOURCE[0]}")/connection.sh"

[ $# -eq 1 ] || die "usage: dump.sh FILE"
file=$1
for there in "$file" "$file.json"; do
  [ ! -e "$there" ] || die "$there is there already: name another file"
done
connect OAUTH2_DATABASE_URL
clean() { rm -f "$file.part" "$file.json.part"; }
trap clean EXIT
trap 'exit 1' INT TERM HUP

version=$(query "show server_version_num") || die "the database cannot be reached"
pg_dump=$(program pg_dump -eq $((version / 10000)))

# One session keeps the snapshot that the dump and the counts are of.
coproc SESSION { exec psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$DSN"; }
ask() { printf '%s\n' "$1" >&"${SESSION[1]}"; }
answer() { IFS= read -r "$1" <&"${SESSION[0]}" || die "the session with the database ended"; }
ask "begin isolation level repeatable read read only; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0; select pg_export_snapshot();"
answer snapshot
"$pg_dump" -Fc --no-owner --no-privileges --lock-wait-timeout=30s --snapshot="$snapshot" \
  --exclude-table-data='*.codes' --exclude-table-data='*.pushed' -f "$file.part" -d "$DSN" || die "pg_dump failed: there is no dump"
ask "select max(version::int) from flyway_schema_history; select coalesce(max(seq), 0) from changes; $sql_counts; select 'end';"
answer schema
answer position
counts=
while answer line && [ "$line" != end ]; do
  [[ $line =~ $left_out ]] || counts+="${counts:+,
}    \"${line% *}\": ${line##* }"
done
ask "commit;"

sync "$file.part"
sum=$(sha256sum < "$file.part")
cat > "$file.json.part" << JSON
{
  "made": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "postgres": $((version / 10000)),
  "schema": $schema,
  "position": $position,
  "sha256": "${sum%% *}",
  "rows": {
$counts
  }
}
JSON
sync "$file.json.part"
mv "$file.json.part" "$file.json"
mv "$file.part" "$file"
sync "$(dirname "$file")"
echo "$file: schema $schema, $(promised "$file" | wc -l) tables, $(promised "$file" | awk '{ n += $2 } END { print n + 0 }') rows. It is worth nothing without the OAUTH2_JWT_SECRET of now: keep that elsewhere."
