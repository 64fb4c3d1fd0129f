#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The coracle authors
#
# test-all.sh: run every matrix, go on after a failure, and write what came of it
# to tests/results/DATE.md, which is committed. The logs are in out/test-all/.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p tests/results out/test-all
result=tests/results/$(date -u +%F).md
status=0
{
	echo "# make test-all, $(date -u +%F)"
	echo
	echo "Commit $(git describe --always --dirty --abbrev=12), Linux $(uname -r), $(nproc) cores, $(go version)."
	echo
	echo '| target | result | seconds | last line |'
	echo '|---|---|---|---|'
} >"$result"
for target in test test-engines test-mutants test-stress "fuzz T=1m" demo bench; do
	log=out/test-all/${target%% *}.log
	started=$SECONDS verdict=passed
	# shellcheck disable=SC2086
	make --no-print-directory $target >"$log" 2>&1 || verdict=FAILED status=1
	echo "| $target | $verdict | $((SECONDS - started)) | $(tail -n 1 "$log" | tr '|' ' ') |" | tee -a "$result"
done
exit $status
