// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

//go:build !amd64 && !arm64

package launch

// This build fails on purpose: the interpreter exists for amd64 and arm64 only.
var _ = coracle_runs_on_amd64_and_arm64_only
