// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/internal/fail"
)

// globals is what all verbs share: the flags before the verb, and the streams.
type globals struct {
	storeDir string
	quiet    bool
	stdout   io.Writer
	voice    sync.Mutex
	stderr   io.Writer // one line at a time, under voice
}

// systemStore is root's store.
const systemStore = "/var/lib/imgmgr"

// storePath returns the directory of the store.
func (g *globals) storePath() (string, error) {
	switch {
	case g.storeDir != "":
		return g.storeDir, nil
	case os.Geteuid() == 0:
		return systemStore, nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "imgmgr"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &fail.Error{Where: "store", Doing: "find its directory", Err: err, Hint: "give one with --store DIR"}
	}
	return filepath.Join(home, ".local", "share", "imgmgr"), nil
}

// store opens the store for what needs images that are there: a directory that is
// misspelt does not become a store.
func (g *globals) store() (*layout.Layout, error) {
	dir, err := g.storePath()
	if err != nil {
		return nil, err
	}
	l, err := layout.Open(dir)
	if absent(err) {
		return nil, &fail.Error{Err: descriptor.NotFound(dir, "no such store"), Hint: "pull, import and commit make it"}
	}
	return l, err
}

// newStore opens the store for what brings images there, and makes it if it is not
// there.
func (g *globals) newStore() (*layout.Layout, error) {
	dir, err := g.storePath()
	if err != nil {
		return nil, err
	}
	return layout.Create(dir)
}

// absent tells whether a layout is not there.
func absent(err error) bool {
	_, ok := errors.AsType[*descriptor.NotFoundError](err)
	return ok
}

// isEmpty tells of an error of store whether there is no store because nobody has
// put an image there yet: where none was named.
func (g *globals) isEmpty(err error) bool { return g.storeDir == "" && absent(err) }

// progress tells the user how the work goes: one line on standard error. Several
// goroutines may call it.
func (g *globals) progress(format string, args ...any) {
	if !g.quiet {
		g.say(fmt.Sprintf(format, args...))
	}
}

// warn tells the user something that does not end the work.
func (g *globals) warn(format string, args ...any) { g.say("warning: " + fmt.Sprintf(format, args...)) }

// say writes one line. What a registry answers may be in it.
func (g *globals) say(text string) {
	g.voice.Lock()
	defer g.voice.Unlock()
	fmt.Fprintf(g.stderr, "imgmgr: %s\n", printable(text))
}

// printJSON writes a value as indented JSON, always in the same order. It is the
// standard library's encoder: image-spec's types are written for it, and mean
// "leave out false" where they say omitempty.
func (g *globals) printJSON(v any) error {
	e := json.NewEncoder(g.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// wantJSON checks the value of a --format flag.
func wantJSON(format string) (bool, error) {
	switch format {
	case "table", "":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage(fail.At("--format", fmt.Sprintf("%q is neither table nor json", format)))
}

// size writes a number of bytes for a person: "1.5 MiB".
func size(n int64) string {
	units := strings.Fields("B KiB MiB GiB TiB PiB EiB")
	f := float64(n)
	for f >= 1024 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}
