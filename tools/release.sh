#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# release.sh: tarballs and Debian packages of the committed tree's programs in
# out/release/, what they consist of (SPDX), and their checksums. The same commit
# and the same Go give the same bytes: names are sorted, times are the commit's,
# owners are numbers, and the programs know no path of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -z $(git status --porcelain) ]] || { echo "release: the tree has changes that are not committed" >&2; exit 1; }

version=$(sed -n 's/^const Version = "\(.*\)"/\1/p' internal/command/version.go)
out=$PWD/out/release
rm -rf "$out"
mkdir -p "$out"
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# package ARCH DIR: the tree DIR as a Debian package.
package() {
	mkdir -p "$2/DEBIAN"
	cat >"$2/DEBIAN/control" <<-EOF
		Package: coracle
		Version: $version
		Architecture: $1
		Maintainer: The coracle authors <coracle@localhost>
		Section: admin
		Priority: optional
		Suggests: nftables
		Homepage: https://github.com/coracle-oci/coracle
		Description: OCI runtime, image manager and CNI plugins
		 coracle runs OCI bundles and can stand in for runc, imgmgr manages images
		 without a daemon, and the CNI plugins connect containers.
	EOF
	find "$2" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$2" "$out/coracle_${version}_$1.deb" >/dev/null
}

for arch in amd64 arm64; do
	name=coracle-$version-linux-$arch
	GOARCH=$arch make --no-print-directory install DESTDIR="$out/$name" PREFIX=/usr/local
	cp LICENSE README.md "$out/$name/"
	tar -C "$out" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=go-w -c "$name" | gzip -n9 >"$out/$name.tar.gz"
	(cd "$out/$name" && go run -C "$OLDPWD" ./tools/sbom coracle "$version" "$created" \
		"$PWD"/usr/local/bin/{coracle,imgmgr,cninet} "$PWD/opt/cni/bin/bridge") >"$out/$name.spdx.json"
	GOARCH=$arch make --no-print-directory install DESTDIR="$out/deb" PREFIX=/usr
	install -D -m 644 LICENSE "$out/deb/usr/share/doc/coracle/copyright"
	package "$arch" "$out/deb"
	rm -rf "${out:?}/$name" "$out/deb"
done
make --no-print-directory build # bin/ is this machine's again
cd "$out"
sha256sum -- *.tar.gz *.deb *.spdx.json | tee SHA256SUMS
