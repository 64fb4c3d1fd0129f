// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package specs

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func decode(t *testing.T, data []byte) specs.Spec {
	t.Helper()
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConfigShape: tools rely on these (cli reference of runc).
func TestConfigShape(t *testing.T) {
	c := decode(t, Config())
	if !c.Process.Terminal || !slices.Equal(c.Process.Args, []string{"sh"}) || c.Root.Path != "rootfs" || !c.Root.Readonly {
		t.Errorf("got %+v, %+v", c.Process, c.Root)
	}
	if c.Version != specs.Version {
		t.Errorf("ociVersion is %s, the types are of %s", c.Version, specs.Version)
	}
	// Tabs and a line break at the end: the text is what json.MarshalIndent makes of the value.
	text, err := json.MarshalIndent(json.RawMessage(Config()), "", "\t")
	if err != nil || string(text)+"\n" != string(Config()) {
		t.Errorf("not in normal form: %v", err)
	}
}

// TestRootlessConfig applies the differences one by one to Config.
func TestRootlessConfig(t *testing.T) {
	want := decode(t, Config())
	for i := range want.Mounts {
		m := &want.Mounts[i]
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "gid=5" })
		if m.Destination == "/sys" {
			m.Type, m.Source, m.Options = "none", "/sys", append([]string{"rbind"}, m.Options...)
		}
	}
	l := want.Linux
	l.Resources = nil
	l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	for _, c := range []struct{ uid, gid int }{{1000, 100}, {0, 0}, {0, 7}, {100, 1}} {
		l.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(c.uid), Size: 1}}
		l.GIDMappings = []specs.LinuxIDMapping{{HostID: uint32(c.gid), Size: 1}}
		text := RootlessConfig(c.uid, c.gid)
		if got := decode(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%d:%d: got %s", c.uid, c.gid, text)
		}
		normal, err := json.MarshalIndent(json.RawMessage(text), "", "\t")
		if err != nil || string(normal)+"\n" != string(text) {
			t.Errorf("not in normal form: %v", err)
		}
	}
}
