#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# overlay.sh: write out/go/overlay.json, for go build -overlay, that takes one thing
# out of the Go runtime: the look for this process's CPU limit in programs that have
# it switched off by go:debug containermaxprocs=0. They read /proc/self/mountinfo at
# their start all the same, for a metric (RATIONALE.md). Where
# this Go's source is not as expected nothing is changed; the programs are the same,
# and start later.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$(go env GOROOT)/src/runtime/cgroup_linux.go
line='^func defaultGOMAXPROCSInit() {$'
mkdir -p out/go
replace='{}'
if [[ $(grep -c "$line" "$source" 2>/dev/null) = 1 ]]; then
	sed "s/$line/&\n\tif debug.containermaxprocs == 0 {\n\t\treturn\n\t}/" "$source" >out/go/cgroup_linux.txt
	replace="{\"$source\": \"$PWD/out/go/cgroup_linux.txt\"}"
else
	echo "overlay: $(go env GOVERSION) is not as expected: its start stays as it is" >&2
fi
echo "{\"Replace\": $replace}" >out/go/overlay.json
