#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# demo.sh: the main job as a tutorial. It prints each command before it runs it.
#
# So that nothing of this machine changes and the commands need no options for
# other directories, the demo has /etc, /run, /var/lib and a network of its own:
# a mount and a network namespace. However it ends, they are gone then, and so
# are the two containers.
set -euo pipefail

if [[ ${1:-} != --inside ]]; then
	((EUID == 0)) || { echo "demo: needs root: it makes containers and a bridge" >&2; exit 1; }
	exec unshare --mount --net --propagation private "$0" --inside
fi

PATH=$(cd "$(dirname "$0")/.." && pwd)/bin:$PATH
dir=$(mktemp -d "${TMPDIR:-/tmp}/coracle-demo.XXXXXX")
registry=
finish() { # however it ends: also after a failure, or ^C
	local status=$?
	trap - EXIT
	for id in demo-web demo-client; do coracle delete --force $id 2>/dev/null || true; done
	[[ -z $registry ]] || kill "$registry" 2>/dev/null || true
	wait
	cd /
	umount --lazy --recursive "$dir"
	rmdir "$dir"
	((status == 0)) || echo "demo: failed; all that it made is removed" >&2
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

mount -t tmpfs tmpfs "$dir"
cp -a /etc "$dir/etc"
rm -rf "$dir/etc/cni"
mount --bind "$dir/etc" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
ip link set lo up
mkdir "$dir/demo"
cd "$dir/demo"

bold= plain=
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
say() { printf '\n# %s\n' "$@"; }
run() { # run LINE: print it, then run it as if it had been typed
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	eval "$1"
}

say "A root file system: Debian's static busybox and a web page."
run 'mkdir -p rootfs/{bin,dev,proc,sys,www}'
run 'cp /bin/busybox rootfs/bin/'
run 'chroot rootfs /bin/busybox --install -s /bin'
run 'echo "Hello from a container." >rootfs/www/index.html'

say "It becomes an image, in a directory that is served as a registry."
run 'imgmgr --store registry import rootfs web:1 --cmd httpd --cmd -f --cmd -h --cmd /www'
run 'imgmgr serve registry &'
registry=$!
until (: <>/dev/tcp/127.0.0.1/5000) 2>/dev/null; do
	kill -0 $registry # or it has ended, and said why
	sleep 0.02
done

say "Any machine pulls it from there; every digest is verified."
run 'imgmgr pull --insecure 127.0.0.1:5000/web:1'
run 'imgmgr ls'

say "A network: one bridge, whose containers reach each other and the world."
run 'cninet create demo --subnet 10.99.0.0/24 --masq'

say "The image becomes a bundle, and the bundle a container in the background."
run 'imgmgr unpack --network demo --memory 64M --pids 50 127.0.0.1:5000/web:1 web'
run 'coracle run --detach --bundle web demo-web'
run 'cninet ls'
run 'address=$(cninet ls --json | grep -o "10\.99\.0\.[0-9]*" | head -n 1)'
until (: <>"/dev/tcp/$address/80") 2>/dev/null; do coracle state demo-web >/dev/null; sleep 0.02; done

say "A second container on the same bridge asks the first, and keeps the answer."
run 'imgmgr unpack --network demo 127.0.0.1:5000/web:1 client -- sh -c "wget -qO- http://$address/ | tee /answer"'
run 'coracle create --bundle client demo-client'
run 'coracle start demo-client'
until [[ $(coracle state demo-client) = *'"stopped"'* ]]; do sleep 0.02; done

say "Both of them, and the state of the first as engines read it."
run 'coracle list'
run 'coracle state demo-web'

say "What changed in the client becomes a new layer; only that is pushed."
run 'imgmgr commit client 127.0.0.1:5000/answer:1'
run 'imgmgr push --insecure 127.0.0.1:5000/answer:1'
run 'imgmgr unpack --insecure docker://127.0.0.1:5000/answer:1 copy'
run 'cat copy/rootfs/answer'

say "Nothing stays behind."
run 'coracle delete demo-client'
run 'coracle delete --force demo-web'
run 'cninet rm demo'
run 'imgmgr rm 127.0.0.1:5000/web:1 127.0.0.1:5000/answer:1'
run 'imgmgr gc'
run 'kill %1'
registry=
wait
run 'coracle list'
run 'cninet ls'
run 'ip -brief link'
