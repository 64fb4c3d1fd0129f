#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# setup.sh demo|test|bench|engines: install the Debian packages that one needs and this
# machine lacks. It says which, and starts no service of theirs.
set -euo pipefail

demo="busybox-static iproute2"
engines="$demo nftables docker.io containerd podman conmon catatonit buildah"
test="$engines strace debootstrap docker-registry apache2-utils openssl umoci crun runc
	qemu-user-static gcc libc6-dev libseccomp-dev golang-github-containers-common uidmap zsh fish groff-base
	qemu-system-x86 qemu-system-common e2fsprogs xz-utils zstd openssh-client tmux"
bench="$demo gcc libc6-dev libseccomp-dev strace nftables debootstrap umoci crun runc containernetworking-plugins iptables"

case ${1:-} in
demo | test | bench | engines) want=${!1} ;;
*) sed -n '5,6s/^# //p' "$0" >&2; exit 2 ;;
esac

missing=()
for p in $want; do
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) = installed ]] || missing+=("$p")
done
((${#missing[@]})) || exit 0

echo "setup: installing ${missing[*]}"
((EUID == 0)) || { echo "setup: installing packages needs root" >&2; exit 1; }

# A registry or engine that starts by itself would be in the tests' way.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
fi
log=$(mktemp)
if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	exit 1
fi
rm -f "$log"
