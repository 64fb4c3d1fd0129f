#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# test.sh: what make test runs. The batch of the virtual machine takes as long as the
# rest, with one busy thread: it runs beside that, and its output is shown at the end.
# When the rest fails, it is stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
log=out/vm/log

heading() { printf '\n=== %d:%02d %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }
part() { heading "$@"; "$@"; }
target() { part make --no-print-directory -o build "$@"; } # bin/ is not made anew while it is used
gotest() { part go run ./tools/gotest "$@"; }

part tools/setup.sh test
part make --no-print-directory build
rm -rf out/test out/vm
mkdir -p out/vm

set -m # gives the batch a process group, so that all of it can be stopped
make --no-print-directory -o build test-vm >$log 2>&1 &
batch=$!
set +m
trap 'echo "test: failed; what the virtual machine has said so far is in $log"
	kill -- -$batch 2>/dev/null && wait $batch || true' EXIT

target lint
target test-race
target test-arm64

# The tests from here on look for mounts and namespaces that are left on this machine:
# while they do, the virtual machine's installation and start must not make any.
until [[ -e out/vm/started ]]; do
	kill -0 $batch 2>/dev/null || { trap - EXIT; cat $log; exit 1; }
	sleep 1
done
target test-root
gotest -count 1 -timeout 5m -run TestEngineSmoke ./tests/engines
TEST_SAMPLE=25 gotest -count 1 -timeout 15m ./tests/mutants

heading the virtual machine
status=0
wait $batch || status=$?
trap - EXIT
cat $log
gotest -summary
exit $status
