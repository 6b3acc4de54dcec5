#!/usr/bin/env bash
# Restores the dump FILE into the empty database of RESTORE_URL (or RESTORE_URL_FILE), all of it or nothing; sees that every row is there;
# brings the schema up to date; revokes everything that was ever issued; and opens the key ring, with the OAUTH2_JWT_SECRET of the time
# of the dump. No server may use the database before. SERVER is the program; without it bin/oauth2-server, or one in PATH.
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/connection.sh"

[ $# -eq 1 ] || die "usage: restore.sh FILE"
file=$1
built=$here/../../bin/oauth2-server
[ -x "$built" ] || built=oauth2-server
server=${SERVER:-$built}
command -v "$server" > /dev/null || die "there is no program $server: make build, put one into PATH, or name it in SERVER"
[ -n "$(value OAUTH2_JWT_SECRET)" ] || die "OAUTH2_JWT_SECRET is not set: the dump is worth nothing without the one of its time"
"$here/check.sh" "$file"
connect RESTORE_URL

tables=$(query "select count(*) from pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f') and relnamespace in
  (select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')") || die "the database of RESTORE_URL cannot be reached: create it first"
[ "$tables" = 0 ] || die "the database of RESTORE_URL is not empty ($tables tables and sequences): name an empty one"
major=$(($(query "show server_version_num") / 10000))
[ "$major" -ge "$(field postgres "$file")" ] || die "the server is Postgres $major, and the dump of the newer $(field postgres "$file"): restore it there"
"$(program pg_restore -ge "$major")" --no-owner --no-privileges --exit-on-error --single-transaction -d "$DSN" "$file" ||
  die "nothing was restored: the database is empty as before"

counts=$(query "$sql_counts" | grep -vE "$left_out") || die "the rows cannot be counted"
if ! difference=$(diff <(promised "$file") <(echo "$counts" | LC_ALL=C sort)); then
  echo "$difference" >&2
  die "the database has other rows (>) than the dump (<): empty it, and restore again"
fi
query "set client_min_messages = error; analyze" # it warns of each table of the system

OAUTH2_DATABASE_URL=$(value RESTORE_URL)
export OAUTH2_DATABASE_URL
unset OAUTH2_DATABASE_URL_FILE PGPASSWORD
finish() { "$server" migrate && "$server" database restored --yes && "$server" database check; }
finish || die "every row is restored, but no server may use the database yet. Mend what is said above; then, with its URL in OAUTH2_DATABASE_URL:
  $server migrate && $server database restored --yes && $server database check"
