// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package linux re-exports the kernel's constants for the pure packages, which
// must not import golang.org/x/sys/unix. It has no functions and no types.
package linux
