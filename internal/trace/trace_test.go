// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package trace

import (
	"encoding/json"
	"testing"
	"time"
)

func TestRecorder(t *testing.T) {
	var none *Recorder
	none.Phase("nothing happens")
	r := New(3 * time.Millisecond)
	r.Phase("parse")
	r.Phase("plan")
	var got struct {
		TraceEvents []struct {
			Name, Ph string
			Ts, Dur  float64
			Pid, Tid int
		}
	}
	if err := json.Unmarshal(r.JSON(7), &got); err != nil {
		t.Fatal(err)
	}
	end := 0.0
	for i, name := range []string{"start-up", "parse", "plan"} {
		e := got.TraceEvents[i]
		if e.Name != name || e.Ph != "X" || e.Pid != 7 || e.Dur < 0 || e.Ts < end-0.01 || e.Ts > end+0.01 {
			t.Errorf("got %+v after %v", e, end)
		}
		end = e.Ts + e.Dur
	}
	if len(got.TraceEvents) != 3 || got.TraceEvents[0].Dur < 3000 {
		t.Errorf("got %+v", got)
	}
}

// TestOffCostsNothing: no memory, and no time to speak of.
func TestOffCostsNothing(t *testing.T) {
	var none *Recorder
	if n := testing.AllocsPerRun(100, func() { none.Phase("x") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
