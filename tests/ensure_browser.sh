#!/usr/bin/env bash
# A Chromium for the browser tests: one that is there, else the system's package (as root), else Playwright's own.
# Without any the browser tests are skipped, and fail under CI=true; so this script itself never fails.
[ -n "${LOOKBOOK_CHROMIUM:-}" ] && exit 0
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing chromium (once)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 && exit 0
fi
# Says at once that it is there already, if it is.
"${1:?path of playwright}" install chromium >/dev/null 2>&1 || echo "no Chromium to be had: browser tests cannot run" >&2
exit 0
