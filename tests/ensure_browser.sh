#!/usr/bin/env bash
# Make sure that there is a Chromium for the browser tests: an installed one, else the package of the system (as root),
# else Playwright's own. Without Chromium the browser tests are skipped, or fail if CI=true, so this script never fails.
[ -n "${LOOKBOOK_CHROMIUM:-}" ] && exit 0
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing chromium (once)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 && exit 0
fi
# Playwright returns at once if its Chromium is installed already.
"${1:?path of playwright}" install chromium >/dev/null 2>&1 || echo "cannot install Chromium: browser tests cannot run" >&2
exit 0
