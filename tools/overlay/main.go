// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command overlay writes DIR/overlay.json, for go build -overlay, with changes to
// Go that let short programs start sooner (RATIONALE.md):
// "go run ./tools/overlay DIR". A change whose lines are not in this Go's source
// exactly once is left out with a warning: the programs are the same, and slower.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A change is made as a whole or not at all.
type change struct {
	what  string
	edits []edit
}

// An edit replaces text of a file of the standard library; what replaces no text is appended.
type edit struct{ file, old, new string }

// changes is not a variable, so that nothing changes it.
func changes() []change {
	return []change{
		{"no look for the CPU limit of programs with go:debug containermaxprocs=0", []edit{
			{"runtime/cgroup_linux.go", "\nfunc defaultGOMAXPROCSInit() {\n", "\nfunc defaultGOMAXPROCSInit() {\n\tif debug.containermaxprocs == 0 {\n\t\treturn\n\t}\n"},
		}},
		// Programs with cgo keep to Go's order: C's threads call Go without a go statement.
		{"no second thread before there is a second goroutine or a timer", []edit{
			{"runtime/proc.go", "\n\tmainStarted = true\n", "\n\tmainStarted = iscgo\n"},
			{"runtime/proc.go", "\n\tif haveSysmon {\n", "\n\tif haveSysmon && iscgo {\n"},
			{"runtime/proc.go", "\n\t\tif mainStarted {\n", `
		startOthers()
		if mainStarted {
`},
			{"runtime/proc.go", "", `
func startOthers() {
	if main_init_done != nil && !mainStarted {
		mainStarted = true
		systemstack(func() {
			readVDSO()
			initPreempt()
			newm(sysmon, nil, -1)
		})
	}
}
`},
			{"runtime/time.go", " c *hchan) *timeTimer {\n", " c *hchan) *timeTimer {\n\tstartOthers()\n"},
			{"runtime/preempt.go", "\nfunc init() {\n\tf := findfunc(", "\nfunc init() {\n\tif iscgo {\n\t\tinitPreempt()\n\t}\n}\n\nfunc initPreempt() {\n\tf := findfunc("},
			{"runtime/vdso_linux.go", "\nfunc vdsoauxv(tag, val uintptr) {\n", `
var vdsoBase uintptr

// Until there are more threads, the few looks at a clock are system calls.
func vdsoauxv(tag, val uintptr) {
	if tag == _AT_SYSINFO_EHDR {
		vdsoBase = val
		if iscgo {
			readVDSO()
		}
	}
}

func readVDSO() { parseVDSO(_AT_SYSINFO_EHDR, vdsoBase) }

func parseVDSO(tag, val uintptr) {
`},
		}},
		// Addresses of 40 bits instead of 48: the tables that say which pages are in use take
		// 2 MiB of them, not 600, and can be had in one piece that needs no second call.
		{"a heap of at most 256 GiB", []edit{
			{"runtime/malloc.go", "(1-goos.IsIos*goarch.IsArm64))*48 + ", "(1-goos.IsIos*goarch.IsArm64))*40 + "},
			{"runtime/malloc.go", "\tarenaBaseOffset = 0xffff800000000000*goarch.IsAmd64 + ", "\tarenaBaseOffset = 0*goarch.IsAmd64 + "},
			{"runtime/mpagealloc_64bit.go", "\t\tr := sysReserve(nil, b, \"page summary\")\n", "\t\tr := sysAllocOS(b, \"page summary\")\n"},
			{"runtime/mpagealloc_64bit.go", "\tr := sysReserve(nil, nbytes, \"scavenge index\")\n", "\tr := sysAllocOS(nbytes, \"scavenge index\")\n"},
			{"runtime/mpagealloc_64bit.go", "\t\tsysMap(unsafe.Pointer(need.base.addr()), need.size(), p.sysStat, \"page alloc\")\n", "\t\tp.sysStat.add(int64(need.size()))\n\t\t*(*byte)(unsafe.Pointer(need.base.addr())) = 0 // else it is read first, which is one more fault\n"},
			{"runtime/mpagealloc_64bit.go", "\t\tsysMap(unsafe.Pointer(need.base.addr()), need.size(), sysStat, \"scavenge index\")\n", "\t\tsysStat.add(int64(need.size()))\n\t\t*(*byte)(unsafe.Pointer(need.base.addr())) = 0\n"},
		}},
		// Without a collection nothing is to be marked, swept, given back, or done again in two minutes.
		{"what serves collections is made by the first one", []edit{
			{"runtime/mgc.go", "\n\tc := make(chan int, 2)\n\tgo bgsweep(c)\n\tgo bgscavenge(c)\n\t<-c\n\t<-c\n\tmemstats.enablegc = true", "\n\tserveCollections = startServers\n\tmemstats.enablegc = true"},
			{"runtime/mgc.go", "\n\tsemacquire(&work.startSema)\n\t// Re-check transition", `
	if collected.CompareAndSwap(0, 1) { // what this allocates may start one, too
		serveCollections()
	}
	semacquire(&work.startSema)
	for _, md := range activeModules() {
		if md.gcdatamask == (bitvector{}) {
			md.gcdatamask = progToPointerMask((*byte)(unsafe.Pointer(md.gcdata)), md.edata-md.data)
			md.gcbssmask = progToPointerMask((*byte)(unsafe.Pointer(md.gcbss)), md.ebss-md.bss)
		}
	}
	// Re-check transition`},
			{"runtime/mgc.go", "", `
var collected atomic.Uint32
var serveCollections func() // startServers, by another way than the compiler's search for cycles takes

func startServers() {
	c := make(chan int, 2)
	go bgsweep(c)
	go bgscavenge(c)
	go forcegchelper()
	createfing()
	gcCleanups.createGs()
}
`},
			{"runtime/mfinal.go", "\n\tcreatefing()\n", "\n\tif collected.Load() != 0 {\n\t\tcreatefing()\n\t}\n"},
			{"runtime/mcleanup.go", "\n\tif gcCleanups.needG() {\n", "\n\tif collected.Load() != 0 && gcCleanups.needG() {\n"},
			{"runtime/proc.go", "\nfunc init() {\n\tgo forcegchelper()\n}\n", "\n"},
			{"runtime/symtab.go", "\t\t\tmd.gcdatamask = progToPointerMask((*byte)(unsafe.Pointer(md.gcdata)), scanDataSize)\n", ""},
			{"runtime/symtab.go", "\t\t\tmd.gcbssmask = progToPointerMask((*byte)(unsafe.Pointer(md.gcbss)), scanBSSSize)\n", ""},
		}},
		{"the first goroutine has a stack that it need not leave", []edit{
			{"runtime/proc.go", "\n\t\tnewg = malg(stackMin)\n", `
		size := int32(stackMin)
		if runtimeInitTime == 0 && !iscgo {
			size = 32<<10 - stackSystem
		}
		newg = malg(size)
`},
		}},
		// The linker says that nobody reads the profile after the first allocations are
		// made, and a changed rate makes the next one a sample.
		{"no sample of the memory for a profile that the program does not have", []edit{
			{"runtime/malloc.go", "\n\tmProf_Malloc(mp, x, size)\n}", "\n\tif !disableMemoryProfiling {\n\t\tmProf_Malloc(mp, x, size)\n\t}\n}"},
		}},
		{"the environment is not copied", []edit{
			{"runtime/runtime1.go", "\t\tenvs[i] = gostring(argv_index(argv, argc+1+i))\n", "\t\tenvs[i] = gostringnocopy(argv_index(argv, argc+1+i))\n"},
		}},
		{"the table of the environment has its size at once", []edit{
			{"syscall/env_unix.go", "\tenv = make(map[string]int)\n\tfor i, s", "\tenv = make(map[string]int, len(envs))\n\tfor i, s"},
		}},
		// They are the runtime's own, which has read them.
		{"go:debug lines about processors are not read twice", []edit{
			{"runtime/runtime.go", "\n\t\t(*update)(godebugDefault, env)\n", `
		defaults := godebugDefault
		if defaults == "containermaxprocs=0,updatemaxprocs=0" {
			defaults = ""
		}
		(*update)(defaults, env)
`},
		}},
		// The kernel takes as long to find it below /proc/self as to execute it.
		{"what a child executes by the path of a descriptor is executed by the descriptor", []edit{
			{"syscall/exec_linux.go", "\n\t_, _, err1 = RawSyscall(SYS_EXECVE,\n\t\tuintptr(unsafe.Pointer(argv0)),\n", `
	{
		const directory = "/proc/self/fd/"
		execveat, fd, i := uintptr(322), uintptr(0), 0
		if SYS_EXECVE == 221 { // not amd64 but arm64
			execveat = 281
		}
		c := *argv0
		for i < len(directory) && c == directory[i] || i >= len(directory) && c >= '0' && c <= '9' {
			if i >= len(directory) {
				fd = fd*10 + uintptr(c-'0')
			}
			i++
			c = *(*byte)(unsafe.Add(unsafe.Pointer(argv0), i))
		}
		if c == 0 && i > len(directory) && (SYS_EXECVE == 59 || SYS_EXECVE == 221) {
			RawSyscall6(execveat, fd, uintptr(unsafe.Add(unsafe.Pointer(argv0), i)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), 0x1000, 0) // AT_EMPTY_PATH
		}
	}
	_, _, err1 = RawSyscall(SYS_EXECVE,
		uintptr(unsafe.Pointer(argv0)),
`},
		}},
		{"no finalizer for the standard streams", []edit{
			{"os/file_unix.go", "\n\truntime.SetFinalizer(f.file, (*file).close)\n\treturn f\n", "\n\tif fd > 2 {\n\t\truntime.SetFinalizer(f.file, (*file).close)\n\t}\n\treturn f\n"},
		}},
		// The linker sorts it.
		{"no look whether the table of functions is sorted", []edit{
			{"runtime/symtab.go", "\n\tfor i := 0; i < nftab; i++ {\n\t\t// NOTE", "\n\tfor i := nftab; i < nftab; i++ {\n\t\t// NOTE"},
		}},
		// Go uses it where a heap is of many gigabytes.
		{"no look for the size of huge pages, nor a word on small tables", []edit{
			{"runtime/mpagealloc.go", "\t\t\t\t} else {\n\t\t\t\t\tsysNoHugePage(r, l2Size)\n", ""},
			{"runtime/malloc.go", "\t\t\t} else {\n\t\t\t\tsysNoHugePage(unsafe.Pointer(l2), unsafe.Sizeof(*l2))\n", ""},
			{"runtime/os_linux.go", "\n\tphysHugePageSize = getHugePageSize()\n", "\n"},
		}},
		// All stacks of a piece are written to when the first one is wanted.
		{"stacks are cut from pieces of 16 KiB, not 32", []edit{
			{"runtime/malloc.go", "\n\t_StackCacheSize = 32 * 1024\n", "\n\t_StackCacheSize = 16 * 1024\n"},
		}},
		// What os/signal is told to catch it installs a handler for when it is told. What
		// the caller ignores is not inherited, as with the handlers.
		{"handlers at the start only for those signals that the runtime itself lives on", []edit{
			{"runtime/signal_unix.go", "\n\t\tif !sigInstallGoHandler(i) {\n", `
		if fwdSig[i] == _SIG_DFL && t.flags&_SigPanic == 0 && i != _SIGPIPE && i != sigPreempt && i != sigPerThreadSyscall && !iscgo {
			continue
		}
		if !sigInstallGoHandler(i) {
`},
		}},
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: overlay DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "overlay:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	skipped, err := overlay(filepath.Join(strings.TrimSpace(string(goroot)), "src"), dir)
	for _, what := range skipped {
		fmt.Fprintf(os.Stderr, "overlay: this Go is not as expected, left out: %s\n", what)
	}
	return err
}

// overlay writes the changed files of src to dir, and overlay.json. It returns the
// changes that this Go is not made for.
func overlay(src, dir string) (skipped []string, err error) {
	changed := map[string]string{}
	for _, c := range changes() {
		if !c.apply(src, changed) {
			skipped = append(skipped, c.what)
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return skipped, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return skipped, err
	}
	replace := map[string]string{}
	for file, text := range changed {
		path := filepath.Join(dir, strings.ReplaceAll(strings.TrimSuffix(file, ".go"), "/", "-")+".txt") // what ends in .go is taken for a package of this module
		replace[filepath.Join(src, file)] = path
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return skipped, err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return skipped, err
	}
	return skipped, os.WriteFile(filepath.Join(dir, "overlay.json"), append(text, '\n'), 0o644)
}

// apply makes the change in the files of changed, where those are that are not as
// they are in src. It reports whether it could.
func (c change) apply(src string, changed map[string]string) bool {
	mine := map[string]string{}
	for _, e := range c.edits {
		text, ok := mine[e.file]
		if !ok {
			text, ok = changed[e.file]
		}
		if !ok {
			source, err := os.ReadFile(filepath.Join(src, e.file))
			if err != nil {
				return false
			}
			text = string(source)
		}
		switch {
		case e.old == "":
			text += e.new
		case strings.Count(text, e.old) == 1:
			text = strings.Replace(text, e.old, e.new, 1)
		default:
			return false
		}
		mine[e.file] = text
	}
	maps.Copy(changed, mine)
	return true
}
