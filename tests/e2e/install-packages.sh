#!/bin/sh
# Installs, where they are missing, the programs that the tests use and no registry of packages carries, with apt-get:
# Chromium for the tests of the page, bubblewrap for the second tier of the sandbox.
set -eu

missing=
for needed in chromium:chromium bwrap:bubblewrap; do
    command -v "${needed%:*}" >/dev/null || missing="$missing ${needed#*:}"
done
if [ -z "$missing" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The tests need$missing, and there is no apt-get to install it: install it by hand." >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "The tests need$missing: run 'apt-get install$missing' as root (there is no sudo here)." >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update --quiet
# shellcheck disable=SC2086  # names of packages, one word each
$as_root apt-get install --yes --quiet --no-install-recommends $missing
