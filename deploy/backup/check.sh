#!/usr/bin/env bash
# Says whether the dump FILE is whole: every byte and every row that FILE.json tells of is there. It needs no server. Of a database
# "oauth2-server database check" says it.
source "$(dirname "${BASH_SOURCE[0]}")/connection.sh"

[ $# -eq 1 ] || die "usage: check.sh FILE"
file=$1
[ -f "$file" ] || die "there is no $file"
[ -f "$file.json" ] || die "there is no $file.json: without it nobody can say what is missing; dump.sh writes it beside the dump"
sum=$(sha256sum < "$file")
[ "${sum%% *}" = "$(field sha256 "$file")" ] || die "$file is not what dump.sh wrote: it was cut or changed: take another backup"
pg_restore=$(program pg_restore -ge "$(field postgres "$file")")
list=$("$pg_restore" --list "$file") || die "$file is no dump, or was cut: take another backup"
for table in flyway_schema_history changes cutoffs denials keys clients users grants codes pushed; do
  [[ $list == *" TABLE "*" $table "* ]] || die "$file has no table $table: take another backup"
done
rows=$(counted "$file" | grep -vE "$left_out") || die "$file cannot be read to its end: take another backup"
if ! difference=$(diff <(promised "$file") <(echo "$rows")); then
  echo "$difference" >&2
  die "$file has other rows (>) than it should have (<): take another backup"
fi
echo "$file is whole: made $(field made "$file"), schema $(field schema "$file"), $(echo "$rows" | wc -l) tables, $(echo "$rows" | awk '{ n += $2 } END { print n + 0 }') rows."
