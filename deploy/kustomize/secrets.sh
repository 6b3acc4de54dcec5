#!/usr/bin/env bash
# Makes the secrets of an overlay where there are none yet, into secrets.env beside its kustomization.yaml, which git
# ignores: deploy/kustomize/secrets.sh dev. It changes nothing that is there. Where Postgres and Redis are
# not the bundled ones, edit the two URLs afterwards, as it then says; without Redis, see components/without-redis.
set -euo pipefail
cd "$(dirname "$0")/overlays"
if [[ ! -f ./${1:-}/kustomization.yaml ]]; then
  echo "give an overlay, one of: $(echo *)" >&2
  exit 2
fi
cd "./$1"

[[ ! -e secrets.env ]] || { echo "$PWD/secrets.env is there already: remove it only if nothing was started with it" >&2; exit 1; }
umask 077
password=$(openssl rand -hex 24)
cat >secrets.env <<END
OAUTH2_DATABASE_URL=postgres://oauth2_user:$password@postgres:5432/oauth2?sslmode=disable
OAUTH2_REDIS_URL=redis://redis:6379/0
OAUTH2_JWT_SECRET=$(openssl rand -base64 48)
OAUTH2_SESSION_KEY=$(openssl rand -base64 48)
OAUTH2_SEED_PASSWORD=$(openssl rand -base64 18)
POSTGRES_PASSWORD=$password
END
echo "made $PWD/secrets.env"
grep -q components/bundled kustomization.yaml ||
  echo "Now edit OAUTH2_DATABASE_URL and OAUTH2_REDIS_URL in it: this overlay has no Postgres and no Redis of its own, and \"postgres\" and \"redis\" lead nowhere."
