// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coracle-oci/coracle/internal/fail"
)

// logged runs "boat GLOBALS --log FILE list" with a verb that does what run
// does, and returns the log.
func logged(t *testing.T, globals string, run func(*Call) error) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := *boat()
	p.Verbs = makers([]Verb{{Name: "list", Run: run}})
	err := Main(p, append(append(strings.Fields(globals), "--log", file), "list"))
	data, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatal(rerr)
	}
	text, found := strings.CutPrefix(string(data), "before\n")
	if !found {
		t.Fatalf("not appended: %q", data)
	}
	return text, err
}

var clock = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

func TestLog(t *testing.T) {
	broken := &fail.Error{Where: "config.json mounts[0]", Doing: "is \"bad\"\\", Hint: "fix it"}
	for _, c := range []struct {
		name, globals string
		result        error
		want          string
	}{
		{"success", "--log-format json", nil, `{"level":"warning","msg":"first\ttab","time":"T"}
{"level":"warning","msg":"second","time":"T"}
`},
		{"success, text", "", nil, `time="T" level=warning msg="first\ttab"
time="T" level=warning msg="second"
`},
		{"success, debug", "--debug --log-format=json", nil, `{"level":"warning","msg":"first\ttab","time":"T"}
{"level":"warning","msg":"second","time":"T"}
{"level":"debug","msg":"detail","time":"T"}
`},
		{"success, errors only", "--log-level error", nil, ""},
		{"status of a container", "--log-format json --log-level error", &ExitError{Code: 7}, ""},
		{"failure", "--log-format json", broken,
			`{"level":"error","msg":"config.json mounts[0]: is \"bad\"\\; warning: first\ttab; warning: second; hint: fix it","time":"T"}
`},
		{"failure, debug", "--log-format json --debug", broken,
			`{"level":"error","msg":"config.json mounts[0]: is \"bad\"\\; warning: first\ttab; warning: second; hint: fix it","time":"T"}
`},
		{"failure, text", "--log-level error", broken, `time="T" level=error msg="config.json mounts[0]: is \"bad\"\\; hint: fix it"
`},
		{"failure with a status", "--log-level error", &ExitError{Code: 255, Err: broken}, `time="T" level=error msg="config.json mounts[0]: is \"bad\"\\; hint: fix it"
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := logged(t, c.globals, func(call *Call) error {
				call.Warn("first\t%s", "tab")
				call.Warn("second")
				call.Debug("detail")
				return c.result
			})
			if !errors.Is(err, c.result) {
				t.Errorf("error: got %v", err)
			}
			want := strings.ReplaceAll(c.want, `first\ttab`, map[bool]string{true: `first\u0009tab`, false: `first\ttab`}[strings.Contains(c.globals, "json")])
			if got = clock.ReplaceAllString(got, "T"); got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
		})
	}
}

// TestLogIsOneObject: podman decodes the whole file, and the time has to be RFC 3339.
func TestLogIsOneObject(t *testing.T) {
	nasty := "line\nbreak \x00 \xff \u2028 \"quoted\" \\ é"
	got, _ := logged(t, "--log-format json", func(c *Call) error { return errors.New(nasty) })
	var r struct{ Level, Msg, Time string }
	if err := json.Unmarshal([]byte(got), &r); err != nil {
		t.Fatalf("%v: %q", err, got)
	}
	if _, err := time.Parse(time.RFC3339, r.Time); err != nil || r.Level != "error" || r.Msg != strings.ToValidUTF8(nasty, "\ufffd") {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestLogGetsUsageErrors: an engine that uses a flag that does not exist has to see it.
func TestLogGetsUsageErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := Main(*boat(), []string{"--log", file, "--log-format=json", "create"}); err == nil {
		t.Error("no error")
	}
	data, err := os.ReadFile(file)
	if err != nil || strings.Count(string(data), "\n") != 1 || !strings.Contains(string(data), "requires exactly 1 argument(s)") {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestFlush(t *testing.T) {
	got, _ := logged(t, "--log-level warning", func(c *Call) error {
		c.Warn("early")
		if err := c.Flush(); err != nil {
			return err
		}
		return errors.New("late")
	})
	if want := "time=\"T\" level=warning msg=\"early\"\ntime=\"T\" level=error msg=\"late\"\n"; clock.ReplaceAllString(got, "T") != want {
		t.Errorf("got %s", got)
	}
}

func TestLogFlagErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "log")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--log", missing, "list"}, "--log: open " + missing + ": no such file or directory (ENOENT)"},
		{[]string{"--log-format", "xml", "list"}, "--log-format: xml is neither text nor json"},
		{[]string{"--log-level", "loud", "list"}, "--log-level: loud is none of error, warning and debug"},
	} {
		p := *boat()
		p.Verbs = makers([]Verb{{Name: "list", Run: func(*Call) error { t.Errorf("%q: was run", c.args); return nil }}})
		if err := Main(p, c.args); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v", c.args, err)
		}
	}
}
