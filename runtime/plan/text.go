// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package plan

import (
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/prog"
)

// A Line is one line of a printed plan.
type Line struct {
	Step   int    // index of the step; -1: a step of the parent
	Result string // register that keeps the result
	Call   string
	Branch string // "EEXIST → 8": where to continue on the one expected result
	Doing  string
	From   string
}

// Lines returns the plan in the order in which it happens: the steps of the
// parent stand at the gates where they are taken.
func (p *Plan) Lines() []Line {
	var lines []Line
	host := func(at prog.Mark) {
		for i := range p.Host {
			if h := &p.Host[i]; h.At == at {
				doing := h.Doing
				if h.Op != nil {
					doing = h.Op.String()
				}
				lines = append(lines, Line{Step: -1, Result: p.resultOf(h), Call: h.call(), Doing: doing, From: h.From})
			}
		}
	}
	host(AtSpawn)
	for i := range p.Init.Steps {
		if i == p.Accept {
			host(AtStart)
		}
		ret, call, branch := p.Init.Line(i, errnoName)
		lines = append(lines, Line{Step: i, Result: ret, Call: call, Branch: branch, Doing: p.Init.Steps[i].Doing, From: p.Init.Steps[i].From})
		for _, g := range p.Gates {
			if g.Step == i {
				host(g.Mark)
			}
		}
		switch i {
		case p.Execve:
			host(AboutToRun)
		case p.Terminal:
			host(Console)
		case p.Listener:
			host(Listening)
		}
	}
	return lines
}

func errnoName(n int) string {
	if e, ok := fail.Errno(n).(interface{ Error() string }); ok && n > 0 {
		return strings.TrimSuffix(afterLast(fail.Reason(e), "("), ")")
	}
	return ""
}

func afterLast(s, sep string) string { return s[strings.LastIndex(s, sep)+1:] }

// resultOf is the descriptor of the program that a host step opens.
func (p *Plan) resultOf(h *HostStep) string {
	switch h.Do {
	case Socketpair, Listen, OpenTasks, OpenNamespace, OpenProcess, OpenRoot, CloneTree, MakeFS, CloneDevice, StateFile, OutputFile, AppendTo:
		return p.Init.Inputs[h.Input]
	}
	return ""
}

// call is a host step as people read it.
func (h *HostStep) call() string {
	q := strconv.Quote
	switch h.Do {
	case CgroupOp:
		return h.Op.String()
	case MakeNamespaces:
		return "unshare(" + namespaceText(int(h.Mode)) + ") in the thread that spawns"
	case Socketpair:
		return "socketpair(AF_UNIX, SOCK_SEQPACKET)"
	case Listen:
		return "listen(" + q(h.Path) + ", SOCK_SEQPACKET)"
	case OpenTasks:
		return "open(" + q(h.Path) + ", O_WRONLY)"
	case OpenProcess:
		return "pidfd of " + h.Value
	case OpenRoot:
		return "open(" + q(h.Path) + ", O_PATH|O_DIRECTORY)"
	case OpenNamespace:
		return "open(" + q(h.Path) + ", O_RDONLY)"
	case CloneTree:
		text := "open_tree(" + q(h.Path) + ", CLONE"
		if h.Recursive {
			text += "|RECURSIVE"
		}
		if h.NoFollow {
			text += "|NOFOLLOW"
		}
		return text + ")" + attrText(h.Attrs)
	case MakeFS:
		return h.FS.call() + attrText(h.Attrs)
	case CloneDevice:
		kind := "c"
		if h.Mode == linux.S_IFBLK {
			kind = "b"
		}
		return "open_tree(" + q(h.Path) + ", CLONE) if it is " + kind + " " + strconv.FormatUint(h.Rdev>>8&0xfff, 10) + ":" + strconv.FormatUint(h.Rdev&0xff|h.Rdev>>12&0xffffff00, 10)
	case StateFile:
		return "memfd(state " + h.Value + ")"
	case AppendTo:
		return "open(" + q(h.Path) + ", O_WRONLY|O_CREAT|O_APPEND, 0600)"
	case SendPIDFD:
		return "send the pidfd to " + h.Path
	case OutputFile:
		return "memfd(output)"
	case Spawn:
		text := "spawn(launch program"
		if h.Mode == linux.CLONE_NEWPID {
			text += ", CLONE_NEWPID"
		}
		if text += ")"; h.Path != "" {
			text += " in " + h.Path
		}
		return text
	case SendInputs:
		if h.Spare > 0 {
			return "send the inputs, the first one " + strconv.Itoa(h.Spare) + " times more"
		}
		return "send the inputs"
	case WriteFile:
		return "write " + h.Path + " " + q(h.Value)
	case OwnGroup, MakeGroup:
		return "make the group " + h.Path
	case WriteSchemata, JoinGroup:
		return "write " + h.Path + " " + q(h.Value)
	case CompareSchemata:
		return "compare " + h.Path + " with " + q(h.Value)
	case MoveDevice:
		return "move link " + h.Path + " to the container as " + h.Value + ", with its addresses, up"
	case MapIDs:
		return h.Path + " PID " + h.Value
	case RunHook:
		return "hook " + q(h.Hook.Path)
	case RaiseLimit:
		hard := strconv.FormatUint(h.Rlimit.Hard, 10)
		return "prlimit(0, " + h.Rlimit.Type + ", {" + hard + ", " + hard + "})"
	case FindProgram:
		return "look up " + q(h.Value) + " in PATH below the root"
	case UnitProperty, StartUnit:
		return h.unitCall()
	}
	return h.recordCall()
}

// Text is the plan as "coracle plan" prints it.
func (p *Plan) Text() string {
	lines := p.Lines()
	var result, call, branch int
	for _, l := range lines {
		result, call, branch = max(result, len(l.Result)), max(call, min(len(l.Call), 100)), max(branch, width(l.Branch))
	}
	var out strings.Builder
	row := func(step, r, c, b, from string) {
		line := pad(step, 4) + "  " + fill(r, result) + "  " + fill(c, call) + "  " + fill(b, branch) + "  " + from
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	row("#", "result", "call", "branch", "from")
	for _, l := range lines {
		row(l.step(), l.Result, l.Call, l.Branch, l.From)
	}
	return out.String()
}

func (l *Line) step() string {
	if l.Step < 0 {
		return "host"
	}
	return strconv.Itoa(l.Step)
}

// Fit is the plan for a terminal of that many columns, 0 for any number: Text, or
// where that is too wide the same without columns.
func (p *Plan) Fit(columns int) string {
	text := p.Text()
	for line := range strings.Lines(text) {
		if columns > 0 && width(strings.TrimSuffix(line, "\n")) > columns {
			return p.narrow(columns)
		}
	}
	return text
}

// narrow gives a step as many lines as it needs; the field that asked for it stands
// at the right.
func (p *Plan) narrow(columns int) string {
	const indent = 8
	columns = max(columns, 5*indent)
	var out strings.Builder
	for _, l := range p.Lines() {
		text := l.Call
		if l.Result != "" {
			text = l.Result + " = " + text
		}
		if l.Branch != "" {
			text += "  " + l.Branch
		}
		before := pad(l.step(), 4) + "  "
		for width(text) > columns-indent {
			var line string
			line, text = split(text, columns-indent)
			out.WriteString(before + line + "\n")
			before = strings.Repeat(" ", indent)
		}
		line := before + text
		if width(line)+2+width(l.From) > columns {
			out.WriteString(line + "\n")
			line = ""
		}
		out.WriteString(strings.TrimRight(line+pad(l.From, columns-width(line)), " ") + "\n")
	}
	return out.String()
}

// split cuts a text that is longer than most behind a comma or a space where it can.
func split(text string, most int) (line, rest string) {
	runes := []rune(text)
	line = string(runes[:most])
	if i := strings.LastIndexAny(line, ", "); i > 0 {
		line = line[:i+1]
	}
	return strings.TrimRight(line, " "), strings.TrimLeft(text[len(line):], " ")
}

func width(s string) int { return len([]rune(s)) }

func fill(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

func pad(s string, n int) string { return strings.Repeat(" ", max(0, n-width(s))) + s }

func attrText(attrs []MountAttr) (text string) {
	for _, a := range attrs {
		text += " {" + a.Text + "}"
	}
	return text
}
