// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cninet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program, text := filepath.Join(dir, "cninet"), filepath.Join(dir, "text")
	for path, mode := range map[string]os.FileMode{program: 0o755, text: 0o644} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, want string }{
		{program, ""},
		{dir, "--net: find cninet: execute " + dir + ": permission denied (EACCES)"},
		{text, "(EACCES)"},
		{program + "2", "(ENOENT)"},
		{"", "(ENOENT)"}, // there is none beside the test
	} {
		got, err := Find("--net", c.path)
		if c.want == "" && (err != nil || got != c.path) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %q, %v", c.path, got, err)
		}
	}
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"10-x.conflist": `{"cniVersion":"1.0.0","name":"web","plugins":[]}`, "broken.conflist": `{`, "plain.conf": `{"name":"plain"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for network, want := range map[string]string{
		"web":   "",
		"wbe":   "did you mean web?",
		"plain": "yet; make it before the container starts: cninet create plain --subnet CIDR",
	} {
		if got, err := Missing("--net", dir, network); err != nil || !strings.HasSuffix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, %v", network, got, err)
		}
	}
	for name, ok := range map[string]bool{"0a.b_c-d": true, "": false, "-web": false, "a/b": false, "wéb": false} {
		if _, err := Missing("--net", dir, name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got, _ := Missing("--net", dir+"/none", "web"); !strings.Contains(got, "--net: there is no network web in "+dir+"/none yet") {
		t.Error(got)
	}
	if err := os.Remove(filepath.Join(dir, "broken.conflist")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "unreadable.conflist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, _ := Missing("--net", dir, "other"); got != "" {
		t.Errorf("what cannot be read may be it, but: %s", got)
	}
}
