#!/bin/sh
# Installs the Chromium that the tests of the page drive, where there is none: Debian's, with apt-get.
set -eu

if command -v chromium >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The tests need a Chromium that is called 'chromium' on the PATH, and there is no apt-get to install it." >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "The tests need chromium: run 'apt-get install chromium' as root (there is no sudo here)." >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update --quiet
$as_root apt-get install --yes --quiet --no-install-recommends chromium
command -v chromium >/dev/null
