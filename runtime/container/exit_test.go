// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"encoding/json"
	"testing"

	"github.com/coracle-oci/coracle/runtime/stats"
)

// TestExitUsage: where the cgroups went before they were read, nothing is said of what
// was used, rather than that it was nothing.
func TestExitUsage(t *testing.T) {
	for want, usage := range map[string]stats.Usage{
		`{"code":0}`: stats.New([]string{t.TempDir() + "/gone"}).Usage(),
		`{"code":0,"usage":{"cpuNanoseconds":1,"memoryBytes":0,"memoryPeakBytes":0,"pids":0,"ioReadBytes":0,"ioWrittenBytes":0,"oomKills":0}}`: {CPU: 1},
	} {
		if got, err := json.Marshal(&Exit{Code: new(0), Usage: usage}); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
