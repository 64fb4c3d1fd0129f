// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package testkit

import "runtime"

// init keeps the first thread for the main goroutine. Tests change the user or
// the namespaces of threads that they throw away; the first thread cannot be
// thrown away, and what /proc/self says is said of it.
func init() { runtime.LockOSThread() }
