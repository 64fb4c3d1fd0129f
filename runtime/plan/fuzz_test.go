// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// FuzzFindings: what is wrong with one value does not keep the others from being
// looked at, whatever they are.
func FuzzFindings(f *testing.F) {
	files, err := filepath.Glob("testdata/configs/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{`{}`, `{"process":{},"linux":{"namespaces":[{"type":"user"},{"type":"mount"}]}}`,
		`{"mounts":[{},{"destination":"/x","options":["bind"]}],"linux":{"resources":{"rdma":{"":{}},"unified":{"x":"y"}}}}`, `{"process":{"rlimits":[{"type":"RLIMIT_X","hard":1}]}}`} {
		f.Add([]byte(text))
	}
	m := machine(f, "hybrid")
	m.Files = nil
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _ := config.Check(data)
		if c == nil {
			return
		}
		wrong, _ := plan.Findings(request(c, m))
		for _, err := range wrong {
			if e, ok := errors.AsType[*fail.Error](err); !ok || e.Where == "" {
				t.Errorf("%v does not name a field", err)
			}
		}
	})
}

// FuzzCompile: any config that is valid compiles to a sound plan, or is refused
// with an error that names the field.
func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/configs/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
		f.Add(data, true)
	}
	f.Add([]byte(`{"ociVersion":"1.0.0","root":{"path":"rootfs"}}`), true)
	hybrid, v2 := machine(f, "hybrid"), machine(f, "v2")
	f.Fuzz(func(t *testing.T, data []byte, onV2 bool) {
		c, err := config.Parse(data)
		if err != nil || config.Validate(c) != nil {
			return
		}
		m := hybrid
		if onV2 {
			m = v2
		}
		p, err := compile(c, m)
		if err == nil {
			sound(t, p)
			return
		}
		if e, ok := errors.AsType[*fail.Error](err); !ok || e.Where == "" {
			t.Errorf("%v does not name a field", err)
		}
	})
}
