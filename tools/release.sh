#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# release.sh: tarballs of the committed tree's programs in out/release/. The same
# commit and the same Go give the same bytes: names are sorted, times are the
# commit's, owners are numbers, and the programs know no path of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -z $(git status --porcelain) ]] || { echo "release: the tree has changes that are not committed" >&2; exit 1; }

version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/command/version.go)
out=$PWD/out/release
rm -rf "$out"
mkdir -p "$out"
for arch in amd64 arm64; do
	name=coracle-$version-linux-$arch
	GOARCH=$arch make --no-print-directory install DESTDIR="$out/$name" PREFIX=/usr/local
	cp LICENSE README.md "$out/$name/"
	tar -C "$out" --sort=name --mtime="@$(git log -1 --format=%ct)" --owner=0 --group=0 --numeric-owner \
		--mode=go-w -c "$name" | gzip -n9 >"$out/$name.tar.gz"
	rm -rf "${out:?}/$name"
done
make --no-print-directory build # bin/ is this machine's again
cd "$out"
sha256sum ./*.tar.gz | tee SHA256SUMS
