#!/bin/sh
# Makes sure that chromium and chromedriver are on PATH, which the tests of the web panel drive.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }

if have chromium && have chromedriver; then
    exit 0
fi

advice="install Chromium and its driver so that 'chromium' and 'chromedriver' are on PATH (Debian: apt-get install chromium chromium-driver)"
if ! have apt-get; then
    echo "setup: the web panel's tests need a browser; $advice" >&2
    exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! have sudo; then
        echo "setup: neither root nor sudo, so as root: $advice" >&2
        exit 1
    fi
    as_root="sudo"
fi

echo "setup: installing Debian's chromium and chromium-driver"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends chromium chromium-driver
if ! have chromium || ! have chromedriver; then
    echo "setup: apt-get ended without chromium and chromedriver on PATH; $advice" >&2
    exit 1
fi
