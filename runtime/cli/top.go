// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/container"
	"github.com/coracle-oci/coracle/runtime/stats"
)

func topVerb() command.Verb {
	return command.Verb{
		Name: "top", Max: 0,
		Others: []string{"stats"},
		Flags: []command.Flag{
			{Names: []string{"interval"}, Value: "TIME", Kind: command.Duration, Default: "2s", Help: "time between two tables"},
			{Names: []string{"count", "n"}, Value: "N", Kind: command.Number, Default: "0", Help: "number of tables; 0: without end on a terminal, else one"},
			{Names: []string{"sort"}, Value: "COLUMN", Default: "cpu", Help: "id, cpu, memory, pids or io"},
			{Names: []string{"format", "f"}, Value: "FORMAT", Default: "table", Help: "table, or json: an array in each line"},
		},
		Summary: "show what all containers use, again and again",
		Long: `
On a terminal the table is drawn anew in its place until it is interrupted;
elsewhere one table is printed after the interval, over which CPU% and IO/S are
measured. Their peaks are those since top began, the other peaks the kernel's.

examples:
  coracle top
  coracle top --count 1 --format json

exit status:
  0  the tables were printed
  1  the containers could not be listed`,
		Run: withStore(runTop),
	}
}

// A topRow is a container in one table.
type topRow struct {
	ID      string           `json:"id"`
	Status  container.Status `json:"status"`
	CPU     float64          `json:"cpuPercent"` // of one processor
	CPUPeak float64          `json:"cpuPercentPeak"`
	IO      float64          `json:"ioBytesPerSecond"`
	IOPeak  float64          `json:"ioBytesPerSecondPeak"`
	Usage   stats.Usage      `json:"usage"`
}

// A topWatch is what top remembers of a container from one table to the next.
type topWatch struct {
	reader *stats.Reader
	row    topRow
	at     time.Time
}

// A topper makes one table after the other.
type topper struct {
	store container.Store
	known map[string]*topWatch
	order func(a, b topRow) int
}

func runTop(c *command.Call, s container.Store) error {
	order, err := topOrder(c.String("sort"))
	if err == nil {
		err = checkFormat(c.String("format"))
	}
	if err == nil && c.Duration("interval") <= 0 {
		err = fail.At("--interval", "is "+c.String("interval")+"; it has to be more than nothing")
	}
	if err != nil {
		return err
	}
	live := sys.IsTerminal(1) && c.String("format") == "table"
	count := c.Int("count")
	if count <= 0 && !live {
		count = 1
	}
	t := &topper{s, map[string]*topWatch{}, order}
	rows, err := t.table()
	if err != nil {
		return err
	}
	if live {
		draw(rows)
	}
	for n := 0; count <= 0 || n < count; n++ {
		time.Sleep(c.Duration("interval"))
		if rows, err = t.table(); err != nil {
			return err
		}
		switch {
		case live:
			draw(rows)
		case c.String("format") == "json":
			err = printCompact(rows)
		default:
			_, err = os.Stdout.WriteString(topText(rows))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// topOrder compares rows: by name, or by what is used, the greatest first.
func topOrder(column string) (func(a, b topRow) int, error) {
	by := map[string]func(r topRow) float64{
		"id":     func(topRow) float64 { return 0 },
		"cpu":    func(r topRow) float64 { return r.CPU },
		"memory": func(r topRow) float64 { return float64(r.Usage.Memory) },
		"pids":   func(r topRow) float64 { return float64(r.Usage.Pids) },
		"io":     func(r topRow) float64 { return r.IO },
	}[column]
	if by == nil {
		return nil, &fail.Error{Where: "--sort", Doing: "unknown column " + strconv.Quote(column), Hint: "id, cpu, memory, pids and io are known"}
	}
	return func(a, b topRow) int { return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(a.ID, b.ID)) }, nil
}

// table looks at all containers.
func (t *topper) table() ([]topRow, error) {
	states, err := t.store.List(nil)
	if err != nil {
		return nil, err
	}
	rows, now := []topRow{}, map[string]*topWatch{}
	for _, state := range states {
		w := t.known[state.ID]
		if w == nil {
			w = &topWatch{reader: stats.New(state.Cgroups)}
		}
		w.look(state)
		now[state.ID] = w
		rows = append(rows, w.row)
	}
	t.known = now
	slices.SortFunc(rows, t.order)
	return rows, nil
}

// look takes the figures, and the rates since the last time.
func (w *topWatch) look(state *container.State) {
	usage, now, before := w.reader.Usage(), time.Now(), w.row
	w.row = topRow{ID: state.ID, Status: state.Now(), Usage: usage}
	if !w.at.IsZero() {
		passed := now.Sub(w.at)
		w.row.CPU = 100 * rate(usage.CPU, before.Usage.CPU, float64(passed))
		w.row.IO = rate(usage.IORead+usage.IOWritten, before.Usage.IORead+before.Usage.IOWritten, passed.Seconds())
	}
	w.row.CPUPeak, w.row.IOPeak = max(w.row.CPU, before.CPUPeak), max(w.row.IO, before.IOPeak)
	w.row.Usage.PidsPeak = max(usage.PidsPeak, usage.Pids, before.Usage.PidsPeak)
	w.row.Usage.MemoryPeak = max(usage.MemoryPeak, usage.Memory, before.Usage.MemoryPeak)
	w.at = now
}

// rate is 0 for a counter that began anew.
func rate(now, before uint64, passed float64) float64 {
	if now < before || passed <= 0 {
		return 0
	}
	return float64(now-before) / passed
}

// topText is the table as text.
func topText(rows []topRow) string {
	width := len("ID")
	for _, r := range rows {
		width = max(width, len(r.ID))
	}
	var b strings.Builder
	line := func(id string, columns ...string) {
		fmt.Fprintf(&b, "%-*s  %-8s", width, id, columns[0])
		for _, c := range columns[1:] {
			fmt.Fprintf(&b, " %8s", c)
		}
		b.WriteByte('\n')
	}
	line("ID", "STATUS", "CPU%", "PEAK", "TIME", "MEMORY", "PEAK", "PIDS", "PEAK", "READ", "WRITTEN", "IO/S", "PEAK")
	for _, r := range rows {
		u := r.Usage
		line(r.ID, string(r.Status), fmt.Sprintf("%.1f", r.CPU), fmt.Sprintf("%.1f", r.CPUPeak), seconds(u.CPU), size(float64(u.Memory)), size(float64(u.MemoryPeak)),
			strconv.FormatUint(u.Pids, 10), strconv.FormatUint(u.PidsPeak, 10), size(float64(u.IORead)), size(float64(u.IOWritten)), size(r.IO), size(r.IOPeak))
	}
	return b.String()
}

// seconds writes processor time: "0.12s", "3m05s".
func seconds(nanoseconds uint64) string {
	d := time.Duration(nanoseconds)
	if d < time.Minute {
		return fmt.Sprintf("%.2fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// size writes bytes in units of 1024: "12.3M".
func size(bytes float64) string {
	const units = "KMGTP"
	if bytes < 1024 {
		return fmt.Sprintf("%.0f", bytes)
	}
	unit := -1
	for bytes >= 1024 && unit < len(units)-1 {
		bytes /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f%c", bytes, units[unit])
}

// draw puts the table in the place of the last one: from the upper left corner,
// each line up to the terminal's edge, and nothing below.
func draw(rows []topRow) {
	columns, height, err := sys.TerminalSize(1)
	if err != nil || columns <= 0 || height <= 0 {
		columns, height = 80, 24
	}
	lines := strings.Split(strings.TrimSuffix(topText(rows), "\n"), "\n")
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(line[:min(len(line), columns)] + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	os.Stdout.WriteString(b.String())
}
