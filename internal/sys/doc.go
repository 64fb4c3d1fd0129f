// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package sys is the system calls: typed, close-on-exec, retried on EINTR, and
// nothing else. It knows nothing of containers, images or networks.
//
// It is the only package that calls functions of golang.org/x/sys/unix and, with
// runtime/launch, the only one with files that import unsafe (their names end in
// _unsafe.go). Errors are bare errnos, or [io/fs.PathError] where a name is
// involved: callers add what the user needs.
package sys
