#!/bin/sh
# Makes sure that a Postgres server is installed, for the store tests, which start a throw-away cluster of their own.
set -eu
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && exit 0
command -v initdb >/dev/null 2>&1 && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing PostgreSQL for the store tests ..." >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
    exit 0
fi
echo "The store tests also run on PostgreSQL: install it (Debian: 'sudo apt-get install postgresql'), else they are skipped." >&2
