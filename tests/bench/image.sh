#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# image.sh DIR: make an OCI layout with the image "debian" in DIR, of six layers
# as people make them: a base system, packages on top, and one that only deletes.
# The peer makes it, so that nobody can say that it was made to measure.
set -euo pipefail
mkdir -p "$1"
cd "$1"
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
	awk '$1 !~ /-/ { print $2; exit }')

layer() { umoci repack --refresh-bundle --image layout:debian bundle; }
install() {
	DEBIAN_FRONTEND=noninteractive chroot bundle/rootfs apt-get install -qy --no-install-recommends "$@"
	chroot bundle/rootfs apt-get clean
}

umoci init --layout layout
umoci new --image layout:debian
umoci unpack --image layout:debian bundle
debootstrap --variant=minbase bookworm bundle/rootfs "$mirror"
printf '#!/bin/sh\nexit 101\n' >bundle/rootfs/usr/sbin/policy-rc.d # start no services
chmod +x bundle/rootfs/usr/sbin/policy-rc.d
layer
chroot bundle/rootfs apt-get update -q
install python3
layer
install git
layer
install vim-tiny less
layer
install openssh-client rsync
layer
rm -rf bundle/rootfs/usr/share/{doc,man,locale} bundle/rootfs/var/lib/apt/lists/*
layer
rm -rf bundle
umoci gc --layout layout
