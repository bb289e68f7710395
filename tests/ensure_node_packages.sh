#!/usr/bin/env bash
# Install the Node.js packages of tests/clients once, if this machine has npm. Without them, the tests of generated
# TypeScript clients are skipped, so this script never fails.
cd "$(dirname "$0")/clients" || exit 0
command -v npm >/dev/null 2>&1 || exit 0
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
echo "installing the Node.js packages of tests/clients (once)"
npm ci --ignore-scripts --no-fund --no-audit --loglevel=error >/dev/null 2>&1 || echo "cannot install the Node.js packages: the tests of TypeScript clients are skipped" >&2
exit 0
