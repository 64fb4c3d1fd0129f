// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/coracle-oci/coracle/runtime/container"
)

// TestReport compares encode with encoding/json. Every field has a value, so one
// that encode forgets is noticed.
func TestReport(t *testing.T) {
	code := 7
	full := &report{"1.3.0", "a", 7, container.Running, "/b \"<☃>", "/b/rootfs", time.Date(2026, 11, 23, 1, 2, 3, 4000, time.UTC),
		map[string]string{"k": "v", "b": "c"}, "root", &container.Exit{Code: &code}, "a.scope", 1}
	for v, i := reflect.ValueOf(full).Elem(), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("the test has no value for %s", v.Type().Field(i).Name)
		}
	}
	for _, r := range []*report{full, {Created: full.Created}} {
		want, err := json.Marshal(r)
		if got := r.encode(); err != nil || string(got) != string(want) {
			t.Errorf("got %s\nwant %s %v", got, want, err)
		}
	}
}

// TestColumns compares columns with text/tabwriter.
func TestColumns(t *testing.T) {
	header := []string{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}
	for _, rows := range [][][]string{
		{header},
		{header, {"a", "7", "running", "/b", "2026-11-23T01:02:03Z", "root"}},
		{header, {strings.Repeat("a", 255), "0", "stopped", "/b/☃", "now", "#1000"}, {"b", "4194304", "created", oneLine("/b\tc"), "now", ""}},
	} {
		var want strings.Builder
		w := tabwriter.NewWriter(&want, 12, 1, 3, ' ', 0)
		for _, row := range rows {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		w.Flush()
		if got := string(columns(rows)); got != want.String() {
			t.Errorf("got\n%s\nwant\n%s", got, want.String())
		}
	}
}
