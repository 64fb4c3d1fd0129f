// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import "github.com/coracle-oci/coracle/internal/sys"

func sockets() ([2]int, error) {
	a, b, err := sys.SeqPacketPair()
	return [2]int{a, b}, err
}
