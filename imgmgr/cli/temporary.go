// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import "os"

// A temporary is a directory of ours that goes away with the verb.
type temporary struct{ path string }

func newTemporary(prefix string) (temporary, error) {
	path, err := os.MkdirTemp("", prefix)
	return temporary{path}, err
}

func (t temporary) remove() { os.RemoveAll(t.path) }
