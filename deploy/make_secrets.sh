#!/usr/bin/env bash
# Write the secrets of docker-compose.yml into a folder, by default `secrets` beside that file. Existing files are kept,
# because the services already use them.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-secrets}
mkdir -p "$folder"
# Docker mounts the files as they are, and the users in the containers differ. Only root and you can enter the folder.
chmod 700 "$folder"
umask 022

random() { openssl rand -hex 24; }
write() {
  [ -s "$folder/$1" ] && return
  printf '%s\n' "$2" > "$folder/$1"
  echo "wrote $folder/$1"
}

write postgres_password "$(random)"
write database_url "postgresql+psycopg://lookbook:$(cat "$folder/postgres_password")@postgres/lookbook"
write redis_password "$(random)"
write redis_url "redis://lookbook:$(cat "$folder/redis_password")@redis:6379/0"
write redis_acl "$(sed "s/PASSWORD/$(cat "$folder/redis_password")/" deploy/redis.acl)"
write s3_secret_key "$(random)"
write webhook_secret "whsec_$(openssl rand -base64 32)"
write grafana_password "$(random)"
