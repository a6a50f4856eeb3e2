#!/bin/sh
# Makes sure that Chromium and the page's packages are installed, for the browser tests.
set -eu
cd "$(dirname "$0")/.."
if ! command -v chromium >/dev/null 2>&1 && ! command -v chromium-browser >/dev/null 2>&1; then
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        echo "Installing Chromium for the browser tests ..." >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
    else
        echo "The page is tested in Chromium: install it (Debian: 'sudo apt-get install chromium'), else these tests are skipped." >&2
    fi
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "The page is tested with Node: install Node 20 with npm, else these tests are skipped." >&2
elif [ ! -e web/node_modules/.done ] || [ web/package-lock.json -nt web/node_modules/.done ]; then
    echo "Installing the page's packages ..." >&2
    (cd web && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
    touch web/node_modules/.done
fi
