// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/coracle-oci/coracle/internal/fail"
)

// TestAdvices: each advice is reached by the error that it is for, and the table
// holds none that an earlier one hides.
func TestAdvices(t *testing.T) {
	if n := len(advices) + len(hints); n < 40 {
		t.Errorf("%d advices", n)
	}
	for _, a := range advices {
		e := &fail.Error{Where: "config.json " + a.where + "0].x", Doing: a.doing + "x", Err: &os.PathError{Op: "x", Path: "/x", Err: a.errno}}
		if Advise(e); e.Hint != a.hint {
			t.Errorf("%s %s: got %q, want %q", e.Error(), a.errno, e.Hint, a.hint)
		}
		other := &fail.Error{Where: e.Where, Doing: e.Doing, Err: syscall.EXDEV}
		if Advise(other); other.Hint != "" {
			t.Errorf("%v: %q", other, other.Hint)
		}
	}
	for _, h := range hints {
		e := &fail.Error{Where: "config.json x", Doing: h.doing + "x", Err: h.errno}
		if Advise(e); e.Hint == "" {
			t.Errorf("%v has none", e)
		}
	}
}

func TestAdviseLeavesTheRest(t *testing.T) {
	if Advise(nil) != nil {
		t.Error("nil")
	}
	plain := errors.New("x")
	if Advise(plain) != plain {
		t.Error("plain")
	}
	e := &fail.Error{Doing: "write its state", Err: syscall.ENOSPC, Hint: "known better"}
	if Advise(e); e.Hint != "known better" {
		t.Errorf("got %q", e.Hint)
	}
	below := &fail.Error{Err: &fail.Error{Doing: "x", Err: syscall.EMFILE, Hint: "inner"}}
	if Advise(below); below.Hint != "" {
		t.Errorf("got %q", below.Hint)
	}
	said := &fail.Error{Doing: "execute x"} // no errno: Doing says it all
	if Advise(said); said.Hint != "" {
		t.Errorf("got %q", said.Hint)
	}
}
