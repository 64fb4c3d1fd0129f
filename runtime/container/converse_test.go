// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/plan"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// TestReceiveOrder: what an init says before its pid has come waits for it; if
// the pid never comes, that is the end.
func TestReceiveOrder(t *testing.T) {
	for _, c := range []struct{ sent, want []prog.Mark }{
		{[]prog.Mark{plan.AtMaps, plan.Born, plan.AtCreated}, []prog.Mark{plan.AtMaps, plan.Born, plan.AtCreated}},
		{[]prog.Mark{plan.AtCreated, plan.Born}, []prog.Mark{plan.Born, plan.AtCreated}},
		{[]prog.Mark{plan.AtOffsets, plan.Console, plan.AtHooks, plan.Born}, []prog.Mark{plan.AtOffsets, plan.Born, plan.Console, plan.AtHooks}},
		{[]prog.Mark{plan.AtHooks}, nil},
	} {
		ours, theirs, err := sys.SeqPacketPair()
		if err != nil {
			t.Fatal(err)
		}
		cloner := exec.Command("/bin/sh", "-c", ":")
		if err := cloner.Start(); err != nil {
			t.Fatal(err)
		}
		m := &child{plan: &plan.Plan{Clones: true}, gate: ours, pid: cloner.Process.Pid}
		for _, mark := range c.sent {
			if err := sys.Send(theirs, prog.MarkBytes(mark, 7)); err != nil {
				t.Fatal(err)
			}
		}
		var got []prog.Mark
		for range c.sent {
			report, fds, err := m.receive(1000)
			if err != nil {
				t.Fatal(err)
			}
			if report == nil {
				if fds == nil {
					t.Error("it counts as a time-out, not as the end")
				}
				break
			}
			if got = append(got, report.Mark); report.Mark == plan.Born {
				m.process = report.Value
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.sent, got, c.want)
		}
		sys.Close(ours)
		sys.Close(theirs)
		cloner.Process.Release()
	}
}

// TestReceiveReset: what an init says before it ends is heard although it has left
// an answer unread.
func TestReceiveReset(t *testing.T) {
	ours, theirs, err := sys.SeqPacketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close(ours)
	if err := errors.Join(sys.Send(ours, []byte{1}), sys.Send(theirs, prog.MarkBytes(plan.Console, 7))); err != nil {
		t.Fatal(err)
	}
	sys.Close(theirs)
	if report, _, err := receive(ours, 1000); err != nil || report == nil || report.Mark != plan.Console {
		t.Errorf("%v, %v; want what was said", report, err)
	}
	if report, fds, err := receive(ours, 1000); err != nil || report != nil || fds == nil {
		t.Errorf("%v, %v, %v; want the end", report, fds, err)
	}
}
