// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package launch

import (
	"strconv"
	"syscall"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A Guard restores a terminal when this process is gone, however it went.
type Guard struct{ pid, pidFD, gate int }

// patience is how many milliseconds a guard may take for its first word, and for its
// end: it does next to nothing. A thread that has nothing to do may take as long.
const patience = 5_000

// GuardTerminal starts the guard of the terminal that is standard input: a program
// of a few steps that waits for the end of its gate and then sets the settings.
//
// It leads a session of its own: what kills this process's group does not kill it,
// and a terminal that is not its controlling one it may set from the background,
// tty_ioctl(4).
func GuardTerminal(settings []byte) (*Guard, error) {
	var b prog.Builder
	gate := b.Input("gate")
	b.Do("name the process", prog.Prctl, prog.Const(linux.PR_SET_NAME, "PR_SET_NAME"), b.String("coracle-guard"))
	b.Do("lead a session", prog.Setsid)
	b.Do("close what the caller has left open", prog.CloseRange, prog.Int(4), prog.Const(^uint64(0)>>32, "~0"), prog.Int(0))
	b.Do("tell that it can be relied on", prog.Sendto, gate.Arg(), b.String("!"), prog.Int(1), prog.Const(linux.MSG_NOSIGNAL, "MSG_NOSIGNAL"), prog.Int(0), prog.Int(0))
	b.Do("wait for the end of the parent", prog.Read, gate.Arg(), b.Struct("go", make([]byte, 8)), prog.Int(1))
	b.Do("restore the terminal", prog.Ioctl, prog.Int(0), prog.Const(linux.TCSETS, "TCSETS"), b.Struct("settings", settings))
	b.Do("end", prog.Exit, prog.Int(0))
	image, err := Assemble(b.Program(3, gate))
	if err != nil {
		return nil, err
	}
	null, err := sys.Open("/dev/null", linux.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer sys.Close(null)
	ours, theirs, err := sys.SeqPacketPair()
	if err != nil {
		return nil, err
	}
	pid, err := Spawn{Image: image, Stdio: [3]int{0, null, null}, Inputs: []int{theirs}, CgroupFD: -1}.Start()
	sys.Close(theirs)
	if err != nil {
		sys.Close(ours)
		return nil, err
	}
	g := &Guard{pid: pid, pidFD: -1, gate: ours}
	if g.pidFD, err = sys.PidfdOpen(pid); err == nil {
		// Before it leads its session, what kills our group kills it too.
		err = g.listen(patience)
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// listen waits until the guard says that it can be relied on.
func (g *Guard) listen(milliseconds int) error {
	ready, err := sys.Wait(milliseconds, g.gate)
	switch {
	case err != nil:
		return err
	case ready < 0:
		return &fail.Error{Doing: "wait for the guard of the terminal, process " + strconv.Itoa(g.pid), Err: syscall.ETIMEDOUT}
	}
	if n, _, err := sys.Receive(g.gate, make([]byte, 1)); err != nil || n == 0 {
		return &fail.Error{Doing: "wait for the guard of the terminal, process " + strconv.Itoa(g.pid) + ", which is gone", Err: syscall.EPIPE}
	}
	return nil
}

// Close lets the guard restore the terminal, and end.
func (g *Guard) Close() {
	if g != nil {
		g.end(patience)
	}
}

// end kills a guard that does not end by itself.
func (g *Guard) end(milliseconds int) {
	sys.Close(g.gate)
	if ready, _ := sys.Wait(milliseconds, g.pidFD); ready != 0 {
		sys.Kill(g.pid, linux.SIGKILL)
		_, _ = sys.Wait(milliseconds, g.pidFD)
	}
	sys.ReapEnded(g.pid)
	sys.Close(g.pidFD)
}
