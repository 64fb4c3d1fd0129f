// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/runtime/stats"
)

// TestEncode reads what encode writes as the reader of state.json does. Every
// field has a value, so one that encode forgets is noticed.
func TestEncode(t *testing.T) {
	timeout := 3
	full := State{
		Version: 1, OCIVersion: "1.3.0", ID: "a.b", Status: Created, PID: 7, StartTime: 1 << 60, Bundle: "/b \"\n☃", Rootfs: "/b/rootfs",
		Created: time.Date(2026, 11, 23, 1, 2, 3, 456, time.UTC), Annotations: map[string]string{"k": "v", "": "x\x00"},
		Cgroups: []string{"/a", "/b"}, Groups: []string{"/g"}, Unit: &Unit{Name: "a.scope", User: true, Path: "/b/a.scope", Subgroup: "c"}, Hooks: &specs.Hooks{Poststop: []specs.Hook{{Path: "/h", Args: []string{"h"}, Timeout: &timeout}}},
		Steps: []Step{{Index: 3, Doing: "do", From: "x", Execve: true}, {Index: 4, Doing: "do it"}}, OwnPIDs: true, NoPivot: true, NoKeyring: true,
		Agent: &Agent{Socket: "/run/agent", Metadata: "m"},
		Exit:  &Exit{Code: &timeout, Signal: "SIGKILL", Time: time.Date(2026, 11, 23, 1, 2, 4, 0, time.UTC), Usage: stats.Usage{CPU: 5}},
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && v.Field(i).IsZero() {
			t.Errorf("the test has no value for %s", f.Name)
		}
	}
	for name, want := range map[string]State{"full": full, "empty": {Created: full.Created, Cgroups: []string{}, Steps: []Step{}}} {
		data, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		var got State
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v: %s", name, err, data)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		var decoded State
		if err := decoded.decode(data); err != nil || !reflect.DeepEqual(decoded, want) {
			t.Errorf("%s: decoded %+v %v, want %+v", name, decoded, err, want)
		}
		for i := range data { // never half a state
			if err := new(State).decode(data[:i]); err == nil {
				t.Errorf("%s: the first %d bytes are a state", name, i)
			}
		}
	}
}
