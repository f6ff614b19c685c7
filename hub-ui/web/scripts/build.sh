#!/usr/bin/env bash
# `make ui`: builds the technician's page into hub-ui/web/dist, from where the hub takes it. Does nothing when dist is
# newer than everything it is made of; `--check` runs the type checks and unit tests as well, and always builds.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "the page needs Node.js 20.19 or newer, with npm; neither the hub nor its .deb needs it to run" >&2
    exit 1
fi
if ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
    echo "the page needs Node.js 20.19 or newer; this is $(node --version)" >&2
    exit 1
fi

newer_than() { # newer_than FILE PATH…: whether any of the paths is newer than the file, or the file is missing
    local file=$1
    shift
    [ ! -e "$file" ] || [ -n "$(find "$@" -newer "$file" -print -quit)" ]
}

if newer_than node_modules/.package-lock.json package.json package-lock.json; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi
if [ "${1:-}" = --check ]; then
    npm run --silent check
    npm run --silent test
elif ! newer_than dist/index.html src public scripts index.html vite.config.ts svelte.config.js package-lock.json ../../hub/openapi.json; then
    exit 0
fi
npm run --silent build
