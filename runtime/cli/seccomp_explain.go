// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/coracle-oci/coracle/internal/command"
	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/seccomp"
)

func seccompExplainVerb() command.Verb {
	arch := archFlag("for programs of this architecture, or all of the profile's (default: this machine's)")
	arch.Words, arch.Repeat = append([]string{"all"}, arch.Words...), true
	return command.Verb{
		Name: "seccomp explain", Args: "PROFILE SYSCALL [ARGUMENT...]", Min: 2, Max: 8,
		Flags: []command.Flag{
			arch,
			capFlag(),
			{Names: []string{"format"}, Value: "FORMAT", Default: "text", Words: []string{"text", "json"}, Help: "text or json"},
		},
		Summary: "say what becomes of a system call, and which rule says so",
		Long: `
SYSCALL is a name or a number. An ARGUMENT is a number, decimal or as in 0x1f or
0755, a name such as AF_INET, several of these with | between, or _ where it is not
known; those that are not given are not known either. Then each rule is listed that
may decide, with the conditions that it depends on. Behind "--", numbers may be
negative.

First come rules without conditions, wherever they stand, but for those that only
repeat the default; then the first rule whose conditions hold; then the default.

examples:
  coracle seccomp explain bundle mount
  coracle seccomp explain profile.json clone 'CLONE_NEWUSER|SIGCHLD'
  coracle seccomp explain --arch all profile.json socket AF_VSOCK
  docker run --rm IMAGE cat profile.json | coracle seccomp explain - 435

exit status:
  0  it was explained, whatever becomes of the call
  1  the profile is wrong, or there is no such call`,
		Run: func(c *command.Call) error {
			list, err := explain(c)
			if err != nil {
				return err
			}
			switch format := c.String("format"); format {
			case "json":
				return printJSON(list)
			case "text":
				var texts []string
				for _, e := range list {
					texts = append(texts, e.text())
				}
				_, err = os.Stdout.WriteString(strings.Join(texts, "\n"))
				return err
			default:
				return &fail.Error{Where: "--format", Doing: "unknown format " + strconv.Quote(format), Hint: "text and json are known"}
			}
		},
	}
}

func explain(c *command.Call) ([]explanation, error) {
	args, known, err := parseArguments(c.Args[2:])
	if err != nil {
		return nil, err
	}
	archs, err := wantedArchs(c)
	if err != nil {
		return nil, err
	}
	f, err := readProfile(c)
	if err != nil {
		return nil, err
	}
	all := len(archs) == 0
	if all {
		p, err := f.on(runtime.GOARCH)
		if err != nil {
			return nil, err
		}
		archs = p.Archs
	}
	var list []explanation
	for _, a := range archs {
		p, err := f.on(portOf(a))
		if err != nil {
			return nil, err
		}
		number, err := findCall(a, c.Args[1])
		if err == nil {
			d := seccomp.Data{Number: number, Arch: a.Token, Args: args}
			list = append(list, p.explain(a, d, known))
		} else if !all || a == archs[len(archs)-1] && len(list) == 0 {
			return nil, err
		}
	}
	return list, nil
}

// wantedArchs are those of --arch, none for all of the profile's.
func wantedArchs(c *command.Call) (list []*seccomp.Arch, err error) {
	if !c.Given("arch") {
		return []*seccomp.Arch{seccomp.Native(runtime.GOARCH)}, nil
	}
	for _, name := range c.Strings("arch") {
		if name == "all" {
			return nil, nil
		}
		a, err := parseArch(name)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// findCall returns the number of a call that is given by its name or number.
func findCall(a *seccomp.Arch, text string) (uint32, error) {
	if n, err := strconv.ParseUint(text, 0, 32); err == nil {
		return a.Full(uint32(n)), nil
	}
	if n, ok := a.Number(text); ok {
		return n, nil
	}
	e := &fail.Error{Doing: a.Name + " has no system call " + strconv.Quote(text), Hint: fail.Nearest(text, a.Names())}
	for _, other := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"} {
		if _, has := seccomp.FindArch(other).Number(text); has {
			e.Hint = "it is one of " + other + ": --arch " + strings.ToLower(strings.TrimPrefix(other, "SCMP_ARCH_"))
			break
		}
	}
	return 0, e
}

// parseArguments reads those of a call; bit n of known says that argument n is given.
func parseArguments(texts []string) (args [6]uint64, known uint8, err error) {
	for i, text := range texts {
		if text == "_" {
			continue
		}
		known |= 1 << i
		for word := range strings.SplitSeq(text, "|") {
			v, ok := parseArgument(word)
			if !ok {
				return args, 0, &fail.Error{Doing: "argument " + strconv.Itoa(i) + ": " + strconv.Quote(word) + " is neither a number nor a name that is known",
					Hint: "give _ for what is not known"}
			}
			args[i] |= v
		}
	}
	return args, known, nil
}

func parseArgument(text string) (uint64, bool) {
	if v, err := strconv.ParseUint(text, 0, 64); err == nil {
		return v, true
	}
	if v, err := strconv.ParseInt(text, 0, 64); err == nil {
		return uint64(v), true
	}
	return linux.Argument(text)
}

// An explanation is what explain prints, in either form.
type explanation struct {
	Arch     string      `json:"architecture"`
	Call     string      `json:"call,omitempty"` // its name, if it has one
	Number   uint32      `json:"number"`
	Outcomes []outcome   `json:"outcomes"` // several if arguments decide that are not known
	Rules    []judgement `json:"rules"`    // that name the call

	open []string // the arguments that decide
}

// An outcome is what becomes of the call.
type outcome struct {
	Action string `json:"action"`
	Errno  *int   `json:"errno,omitempty"`
	Name   string `json:"errnoName,omitempty"`
	By     string `json:"by"` // the path of what says so
	Why    string `json:"why,omitempty"`

	effect string
}

// A judgement is what a rule has to do with the call.
type judgement struct {
	Path       string      `json:"path"`
	Action     string      `json:"action"`
	Says       string      `json:"says"`
	As         string      `json:"as,omitempty"` // the call that is asked for through this one
	Conditions []condition `json:"conditions,omitempty"`
}

type condition struct {
	Path  string `json:"path,omitempty"`
	Test  string `json:"test"`
	Holds *bool  `json:"holds"` // null: the argument is not known
	Arg   string `json:"argument,omitempty"`
}

func (p *knownProfile) explain(a *seccomp.Arch, d seccomp.Data, known uint8) explanation {
	e := explanation{Arch: a.Name, Call: a.NameOf(d.Number), Number: d.Number, Outcomes: []outcome{}, Rules: []judgement{}}
	judged := p.Explain(d, known)
	open := map[string]bool{}
	for _, j := range judged.Rules {
		out := judgement{Path: p.rule(j.Rule), Action: seccomp.ActionText(j.Return), As: j.Muxed}
		for n, cond := range j.Conditions {
			one := condition{Test: cond.String()}
			if j.Muxed == "" {
				one.Path = out.Path + ".args[" + strconv.Itoa(n) + "]"
			}
			if cond.Known {
				one.Holds, one.Arg = &cond.Holds, "0x"+strconv.FormatUint(d.Args[cond.Arg], 16)
			} else if arg := "arg" + strconv.Itoa(int(cond.Arg)); j.Says == seccomp.MayDecide && !open[arg] {
				open[arg] = true
				e.open = append(e.open, arg)
			}
			out.Conditions = append(out.Conditions, one)
		}
		out.Says = sayings[j.Says]
		if j.Says == seccomp.Decides && len(e.Outcomes) > 0 {
			out.Says = otherwise
		}
		if j.Says == seccomp.Decides || j.Says == seccomp.MayDecide {
			e.Outcomes = append(e.Outcomes, p.outcome(a, j.Return, out.Path, ""))
		}
		e.Rules = append(e.Rules, out)
	}
	if v := judged.Else; v != nil {
		field, why := "defaultAction", "no rule names the call"
		switch {
		case v.Rule == seccomp.ByArch:
			field, why = "architectures", "the profile is not for "+a.Name
		case v.Newer:
			why = "it is newer than all calls that the profile names"
		case len(e.Outcomes) > 0:
			why = otherwise
		case len(e.Rules) > 0:
			why = "no rule applies"
		}
		e.Outcomes = append(e.Outcomes, p.outcome(a, v.Return, p.prefix+field, why))
	}
	return e
}

const otherwise = "decides otherwise"

var sayings = [...]string{
	seccomp.Decides:   "decides",
	seccomp.MayDecide: "decides if its conditions hold",
	seccomp.Fails:     "does not apply",
	seccomp.Repeats:   "does not count: it only repeats the default",
	seccomp.Late:      "does not count: another rule goes first",
}

// outcome says what an action does.
func (p *knownProfile) outcome(a *seccomp.Arch, ret uint32, by, why string) outcome {
	o := outcome{Action: seccomp.ActionText(ret), By: by, Why: why}
	name, data, _ := strings.Cut(strings.TrimSuffix(o.Action, ")"), "(")
	switch name {
	case "SCMP_ACT_ALLOW":
		o.effect = "is allowed"
	case "SCMP_ACT_LOG":
		o.effect = "is allowed and logged"
	case "SCMP_ACT_ERRNO":
		n, _ := strconv.Atoi(data)
		o.Errno, o.Name = &n, errnoName(a, n)
		if o.effect = "fails with " + errnoText(a, n); n == 0 {
			o.effect = "is not made and returns 0"
		}
	case "SCMP_ACT_TRAP":
		o.effect = "is not made: the thread gets SIGSYS"
	case "SCMP_ACT_TRACE":
		o.effect = "is left to a tracer, which gets " + data + ", and fails with " + errnoText(a, int(a.ENOSYS())) + " if there is none"
	case "SCMP_ACT_NOTIFY":
		o.effect = "is left to the agent at " + p.agent
	case "SCMP_ACT_KILL_THREAD":
		o.effect = "kills the thread"
	default:
		o.effect = "kills the process"
	}
	return o
}

// errnoName is that of an errno. Some architectures have numbers of their own, of
// which one is known here.
func errnoName(a *seccomp.Arch, n int) string {
	const usualENOSYS = 38
	switch own := int(a.ENOSYS()); {
	case n == own:
		return "ENOSYS"
	case own != usualENOSYS && n > 34: // up to ERANGE all are alike
		return ""
	}
	return fail.ErrnoName(syscall.Errno(n))
}

func errnoText(a *seccomp.Arch, n int) string {
	if name := errnoName(a, n); name != "" {
		return name + " (" + strconv.Itoa(n) + ")"
	}
	return "errno " + strconv.Itoa(n)
}

func (e *explanation) text() string {
	var b strings.Builder
	name := "call " + strconv.Itoa(int(e.Number)) + " of " + e.Arch
	if e.Call != "" {
		name = e.Call + " (" + name + ")"
	}
	var effects []string
	for _, o := range e.Outcomes {
		if len(effects) == 0 || effects[len(effects)-1] != o.effect {
			effects = append(effects, o.effect)
		}
	}
	b.WriteString(name + " " + strings.Join(effects, ", or "))
	if len(effects) > 1 {
		b.WriteString("; that depends on " + strings.Join(e.open, ", "))
	}
	b.WriteString("\n")
	for _, j := range e.Rules {
		b.WriteString("  " + j.Path + ": " + j.Action + ": " + j.Says)
		if j.As != "" {
			b.WriteString(", as the call may ask for " + j.As)
		}
		b.WriteString("\n")
		for n, c := range j.Conditions {
			judged := "is open"
			if c.Holds != nil && *c.Holds {
				judged = "holds for " + c.Arg
			} else if c.Holds != nil {
				judged = "does not hold for " + c.Arg
			}
			place := "    args[" + strconv.Itoa(n) + "]: "
			if c.Path == "" {
				place = "    "
			}
			b.WriteString(place + c.Test + ": " + judged + "\n")
		}
	}
	for _, o := range e.Outcomes {
		if o.Why != "" {
			b.WriteString("  " + o.By + ": " + o.Action + ": " + o.Why + "\n")
		}
	}
	return b.String()
}
