// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/testkit"
)

const ours = 0x0123456789abcdef

// recordable is a random profile that Record takes.
func recordable(r *rand.Rand) *specs.LinuxSeccomp {
	for {
		s := randomProfile(r)
		some := func(action *specs.LinuxSeccompAction) { // nobody traces, and nobody answers
			if *action == specs.ActNotify || *action == specs.ActTrace {
				*action = specs.ActAllow
			}
		}
		some(&s.DefaultAction)
		if s.DefaultAction != specs.ActErrno {
			s.DefaultErrnoRet = nil
		}
		for i := range s.Syscalls {
			if some(&s.Syscalls[i].Action); s.Syscalls[i].Action != specs.ActErrno {
				s.Syscalls[i].ErrnoRet = nil
			}
			if n := r.IntN(8); n < len(handOver) {
				s.Syscalls[i].Names = append(s.Syscalls[i].Names, handOver[n])
			}
		}
		if _, err := Record(s, "amd64", ""); err == nil {
			return s
		}
	}
}

// TestRecordTakesNothingAway: a container under the filter that asks gets what its
// own filter gives it, whoever it is that says so, and nothing more is let through
// than the handing over.
func TestRecordTakesNothingAway(t *testing.T) {
	r := testkit.Seed(t)
	asked := 0
	for range 50 {
		s := recordable(r)
		rec, err := Record(s, "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		filter, err := Parse(rec.Filter("/run/socket", ours), "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		program, err := filter.Compile("")
		if err != nil {
			continue // it is too long
		}
		for range 100 {
			d := interesting(r, rec.Profile)
			want := rec.Decide(d).Return
			got, _, err := Run(program, d)
			if err != nil {
				t.Fatal(err)
			}
			if got == retNotify {
				asked++
				happens, errno := rec.Answer(d)
				if got = retErrno | errno; happens {
					got = retAllow
				}
			}
			if want == retLog {
				want = retAllow // what is asked about is not logged
			}
			a := rec.archOf(d)
			newest := a != nil && allows(rec.Default) && newer(lastKnown(a), a, d.Number) // of which no profile can speak
			// What is newer than the profile, but older than handOver, gets another errno. Nothing runs under such a profile.
			older := a != nil && !allows(want) && !allows(got) && lastOf(rec.Profile, a) < lastOf(filter, a)
			if got != want && !newest && !older {
				t.Fatalf("%+v: the container has %s, recording gives %s\n%s", d, ActionText(want), ActionText(got), encode(t, s))
			}
			if d.Args[5] = ours; rec.Decide(d).Return != retAllow {
				got, _, _ := Run(program, d)
				name := ""
				if a != nil {
					name = a.NameOf(d.Number)
				}
				if got == retAllow != slices.Contains(handOver[:], name) {
					t.Fatalf("%+v with the mark: %s is %s\n%s", d, name, ActionText(got), encode(t, s))
				}
			}
		}
		for _, name := range handOver {
			if !filter.Allows(name, [6]uint64{5: ours}, 1<<5) {
				t.Fatalf("%s is not allowed where the listener is handed over", name)
			}
		}
	}
	if asked < 100 {
		t.Errorf("asked %d times only", asked)
	}
}

func lastOf(p *Profile, a *Arch) uint32 {
	last, _ := p.last(a)
	return last
}

func lastKnown(a *Arch) uint32 { return lastOf(&Profile{Rules: []Rule{{Names: a.Names()}}}, a) }

func newer(last uint32, a *Arch, number uint32) bool { return number > last && number < a.ordinary() }

// TestRecordResult: under what comes out, all that was seen fares as it did, and
// nothing is allowed that was not.
func TestRecordResult(t *testing.T) {
	r := testkit.Seed(t)
	recorded := 0
	for range 50 {
		s := recordable(r)
		rec, err := Record(s, "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		var seen []Data
		for range r.IntN(20) {
			d := interesting(r, rec.Profile)
			if rec.archOf(d) == nil || rec.archOf(d).NameOf(d.Number) == "" || !rec.asks(rec.Decide(d).Return) || rec.Decide(d).Newer {
				continue
			}
			rec.Answer(d)
			seen = append(seen, d)
		}
		out := rec.Result(Runtimes(r.IntN(2) == 0))
		p, err := Parse(out, "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range seen {
			recorded++
			was, is := rec.Decide(d).Return, p.Decide(d).Return
			if allows(rec.Default) && allows(is) {
				is = was // under a default that allows, conditions may say whether a call is logged
			}
			if was != is {
				t.Fatalf("%+v: was %s, is %s\nof %s\ncame %s", d, ActionText(was), ActionText(is), encode(t, s), encode(t, out))
			}
		}
		for range 100 {
			d := interesting(r, rec.Profile)
			if was, is := rec.Decide(d).Return, p.Decide(d).Return; allows(is) && !allows(was) {
				t.Fatalf("%+v: was %s, is %s\nof %s\ncame %s", d, ActionText(was), ActionText(is), encode(t, s), encode(t, out))
			}
		}
	}
	if recorded < 50 {
		t.Errorf("recorded %d calls only", recorded)
	}
}

func encode(t *testing.T, s *specs.LinuxSeccomp) string {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRecord is recordings of a few calls.
func TestRecord(t *testing.T) {
	x86 := FindArch("SCMP_ARCH_X86")
	native := FindArch("SCMP_ARCH_X86_64")
	call := func(a *Arch, name string, args ...uint64) Data {
		n, ok := a.Number(name)
		if !ok {
			t.Fatal(name)
		}
		d := Data{Number: n, Arch: a.Token}
		copy(d.Args[:], args)
		return d
	}
	flags := specs.LinuxSeccompArg{Index: 0, Value: 0x7e020000, Op: specs.OpMaskedEqual}
	for _, c := range []struct {
		name  string
		have  *specs.LinuxSeccomp
		calls []Data
		more  []string
		want  string
	}{
		{"no profile", nil, []Data{call(native, "write"), call(native, "execve"), call(native, "write"), call(native, "clone3")}, nil,
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],
			"syscalls":[{"names":["clone3","execve","write"],"action":"SCMP_ACT_ALLOW"}]}`},
		{"runtimes", nil, []Data{call(native, "execve")}, []string{"close", "execve", "futex", "mmap2"},
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],
			"syscalls":[{"names":["execve"],"action":"SCMP_ACT_ALLOW"},{"names":["close","futex"],"action":"SCMP_ACT_ALLOW"}]}`},
		{"32 bit", nil, []Data{call(native, "execve"), call(x86, "mmap2"), call(x86, "socketcall", 3), call(x86, "ipc", 0x10017), call(x86, "ipc", 99)}, nil,
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],
			"syscalls":[{"names":["connect","execve","ipc","mmap2","shmget"],"action":"SCMP_ACT_ALLOW"}]}`},
		{"a profile", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: ptr(13), Flags: []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_LOG"}, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"openat2", "write", "execve"}, Action: specs.ActAllow},
			{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{flags}},
			{Names: []string{"clone3", "clone"}, Action: specs.ActErrno, ErrnoRet: ptr(38)},
			{Names: []string{"read"}, Action: specs.ActAllow},
			{Names: []string{"socket"}, Action: specs.ActKillProcess, Args: []specs.LinuxSeccompArg{{Value: 16, Op: specs.OpEqualTo}}},
			{Names: []string{"socket"}, Action: specs.ActLog, Args: []specs.LinuxSeccompArg{{Value: 3, Op: specs.OpLessThan}}},
			{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 3, Op: specs.OpGreaterEqual}}},
		}},
			[]Data{call(native, "execve"), call(native, "clone3"), call(native, "read"), call(native, "socket", 2)}, []string{"close", "write"},
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":13,"architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[
			{"names":["execve","read"],"action":"SCMP_ACT_ALLOW"},
			{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
			{"names":["socket"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":0,"value":16,"op":"SCMP_CMP_EQ"}]},
			{"names":["socket"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":3,"op":"SCMP_CMP_LT"}]},
			{"names":["write"],"action":"SCMP_ACT_ALLOW"},
			{"names":["openat2"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}`},
		{"a list of what is denied", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "rmdir"}, Action: specs.ActErrno, ErrnoRet: ptr(30)}}},
			[]Data{call(native, "execve"), call(native, "mkdir"), call(native, "futex")}, []string{"rmdir"},
			`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[
			{"names":["execve","futex"],"action":"SCMP_ACT_ALLOW"},{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":30}]}`},
	} {
		rec, err := Record(c.have, "amd64", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.calls {
			rec.Answer(d)
		}
		got, _ := json.Marshal(rec.Result(c.more))
		if want := strings.NewReplacer("\n", "", "\t", "").Replace(c.want); string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

func TestRecordAnswers(t *testing.T) {
	rec, err := Record(nil, "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	native := rec.Archs[0]
	ask := func(name string) {
		n, _ := native.Number(name)
		if happens, _ := rec.Answer(Data{Arch: native.Token, Number: n}); !happens {
			t.Errorf("%s is refused", name)
		}
	}
	for _, name := range []string{"execve", "sendto", "exit_group"} {
		if ask(name); rec.Ran() {
			t.Errorf("ran after %s", name)
		}
	}
	if ask("brk"); !rec.Ran() {
		t.Error("did not run after brk")
	}
	for range 2 {
		rec.Answer(Data{Arch: native.Token, Number: 400})
	}
	if !slices.Equal(rec.Unnamed, []string{"call 0x190 of SCMP_ARCH_X86_64"}) {
		t.Errorf("unnamed: %q", rec.Unnamed)
	}
}

func TestRecordRefuses(t *testing.T) {
	asks := valid()
	asks.ListenerPath = "/run/agent"
	asks.Syscalls[0].Action = specs.ActNotify
	takes := valid()
	takes.DefaultAction = specs.ActAllow
	takes.Syscalls[1].Action = specs.ActErrno
	wrong := valid()
	wrong.DefaultAction = "SCMP_ACT_DENY"
	for want, s := range map[string]*specs.LinuxSeccomp{
		"linux.seccomp.listenerPath: record calls that an agent answers":                                                          asks,
		"linux.seccomp.syscalls[1].args: take something from what the default allows, which a list of what is allowed cannot say": takes,
		`linux.seccomp.defaultAction: unknown action "SCMP_ACT_DENY"`:                                                             wrong,
	} {
		if _, err := Record(s, "amd64", "linux.seccomp"); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := Record(nil, "riscv64", "linux.seccomp"); err == nil {
		t.Error("no error for a machine without containers")
	}
}
