#!/bin/sh
# Installs missing system programs that the tests use, with apt-get: Chromium for the playground, bubblewrap for the
# second tier of the sandbox, nginx for restarts behind a proxy, Prometheus for the metrics, Redis for replicas, kubectl
# and systemd for the deployment files, curl for the commands that the playground copies. No service is started, now or
# at boot: the tests start their own processes.
set -eu

PATH="$PATH:/usr/sbin"
missing=
for needed in chromium:chromium bwrap:bubblewrap nginx:nginx prometheus:prometheus kubectl:kubernetes-client \
    systemd-analyze:systemd redis-server:redis-server curl:curl; do
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

# Debian starts a service when its package is installed, unless this file forbids it; an existing file is kept.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
fi
$as_root apt-get update --quiet
# shellcheck disable=SC2086  # names of packages, one word each
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing
for server in nginx prometheus redis-server; do
    case "$missing " in
    *" $server "*) if command -v systemctl >/dev/null; then $as_root systemctl --quiet disable "$server"; fi ;;
    esac
done
