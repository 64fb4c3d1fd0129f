// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/runtime/container"
)

// TestReport compares encode with encoding/json. Every field has a value, so one
// that encode forgets is noticed.
func TestReport(t *testing.T) {
	code := 7
	full := report{"1.3.0", "a", 7, container.Running, "/b \"<☃>", "/b/rootfs", time.Date(2026, 11, 23, 1, 2, 3, 4000, time.UTC),
		map[string]string{"k": "v", "b": "c"}, "root", &container.Exit{Code: &code}, "a.scope"}
	for v, i := reflect.ValueOf(full), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("the test has no value for %s", v.Type().Field(i).Name)
		}
	}
	for _, r := range []report{full, {Created: full.Created}} {
		want, err := json.Marshal(r)
		if got := r.encode(); err != nil || string(got) != string(want) {
			t.Errorf("got %s\nwant %s %v", got, want, err)
		}
	}
}
