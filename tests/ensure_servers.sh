#!/usr/bin/env bash
# Make sure that nginx and promtool are there for the test of docker-compose.yml: as packages of the system (as root).
# Without them their tests are skipped, or fail if CI=true, so this script never fails.
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing nginx and promtool (once)"
  # With RUNLEVEL=1 the packages do not start their servers.
  { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light prometheus; } >/dev/null 2>&1 && exit 0
fi
echo "cannot install nginx and promtool: their tests cannot run" >&2
exit 0
