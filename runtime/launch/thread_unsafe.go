// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

//go:build amd64 || arm64

package launch

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/coracle-oci/coracle/internal/caller"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
)

// A Thread makes namespaces while its creator does other things, and then starts a
// process in them. It is none of Go's: it runs steps as a launch program does, has no
// stack, and gets no signals.
//
// A network namespace takes the kernel longer than all else before the first mount,
// and what goes into it is known when the config has been read.
type Thread struct {
	header  [4]uint32 // of the steps that stand behind it, as in an image
	steps   [32]threadStep
	count   int
	flags   int    // of unshare(2)
	clones  int    // the step that does; those of the process stand behind it
	alive   uint32 // 0: it has ended; the kernel says so, and wakes whoever waits
	goOn    uint32 // 1: there are more steps
	pid     int32
	mask    uint64     // signals that its creator blocks
	cpus    [16]uint64 // that its creator may use
	cpuSize uintptr    // bytes of it; 0: they are not known
	files   [2]uint64  // RLIMIT_NOFILE of the caller: soft, hard
	clone   [11]uint64 // struct clone_args
	name    [len(Name) + 1]byte
	argv    [2]uintptr
	envp    [1]uintptr
	open    []int // descriptors that the process gets copies of
}

// A threadStep is a step of an image; see image.go.
type threadStep struct {
	number            uint64
	args              [6]uint64
	registers, result uint32
	expected          int64
	target            uint64
}

// startThread starts a thread that runs the steps behind header. Where ended points
// is set to 0 at its end.
func startThread(flags, header uintptr, ended *uint32) (tid int)

// NewThread starts a thread that makes namespaces: flags of unshare(2). It ends by
// [Thread.Wait] or [Thread.Drop].
func NewThread(flags int) (*Thread, error) {
	t := &Thread{header: [4]uint32{2: ^uint32(0), 3: linux.SYS_EXIT}, alive: 1, flags: flags}
	t.add(linux.SYS_UNSHARE, uint64(flags))
	wait := t.add(linux.SYS_FUTEX, address(&t.goOn), linux.FUTEX_WAIT|linux.FUTEX_PRIVATE_FLAG, 0, 0)
	wait.expected, wait.target = -int64(linux.EAGAIN), address(&t.steps[t.count]) // it was not 0 any more
	tid := t.begin()
	if tid < 0 {
		return nil, syscall.Errno(-tid)
	}
	t.keepAway(tid)
	return t, nil
}

// begin starts it with all signals blocked, as it has them from its creator, whose
// goroutine must not change to another thread meanwhile.
//
//go:nosplit
//go:noinline
//go:norace
func (t *Thread) begin() (tid int) {
	all := ^uint64(0)
	syscall.RawSyscall6(linux.SYS_RT_SIGPROCMASK, linux.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&t.mask)), 8, 0, 0)
	tid = startThread(linux.CLONE_VM|linux.CLONE_FS|linux.CLONE_FILES|linux.CLONE_SIGHAND|linux.CLONE_THREAD|linux.CLONE_SYSVSEM|linux.CLONE_CHILD_CLEARTID,
		uintptr(unsafe.Pointer(&t.header)), &t.alive)
	syscall.RawSyscall6(linux.SYS_RT_SIGPROCMASK, linux.SIG_SETMASK, uintptr(unsafe.Pointer(&t.mask)), 0, 8, 0, 0)
	return tid
}

// keepAway has the thread run on another processor than its creator, if there is one.
// The kernel often queues it behind its creator, which does not wait for anything
// until the thread is needed, and does not move it while another processor is idle.
func (t *Thread) keepAway(tid int) {
	n, _, errno := syscall.RawSyscall(linux.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(t.cpus), uintptr(unsafe.Pointer(&t.cpus)))
	if errno != 0 { // there are more than 1,024
		return
	}
	t.cpuSize = n
	others, cpu := t.cpus, uint32(0)
	syscall.RawSyscall(linux.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	others[cpu/64%uint32(len(others))] &^= 1 << (cpu % 64)
	// It fails where there is no other.
	syscall.RawSyscall(linux.SYS_SCHED_SETAFFINITY, uintptr(tid), n, uintptr(unsafe.Pointer(&others)))
}

// Start has the thread start a process when it has made the namespaces. It takes over
// the directory of the cgroup; the inputs must stay open until [Thread.Wait].
func (t *Thread) Start(s Spawn) error {
	t.open = append(t.open, s.CgroupFD)
	const others = 8 // steps, at most, beside those for descriptors
	if t.count+2*(len(s.Inputs)+1)+others > len(t.steps) {
		return fmt.Errorf("bug: a process starts with %d descriptors", len(s.Inputs))
	}
	memfd, err := sys.SealedMemfd(Name, s.Image.Bytes)
	if err != nil {
		return err
	}
	t.open = append(t.open, memfd)
	t.clone = [11]uint64{0: linux.CLONE_VM | linux.CLONE_VFORK | linux.CLONE_PARENT_SETTID | linux.CLONE_CLEAR_SIGHAND, 3: address(&t.pid), 4: uint64(linux.SIGCHLD)}
	if s.NewPID {
		t.clone[0] |= linux.CLONE_NEWPID
	}
	if s.CgroupFD >= 0 {
		t.clone[0] |= linux.CLONE_INTO_CGROUP
		t.clone[10] = uint64(s.CgroupFD)
	}
	if t.cpuSize > 0 {
		restore := t.add(linux.SYS_SCHED_SETAFFINITY, 0, uint64(t.cpuSize), address(&t.cpus))
		restore.expected, restore.target = -int64(linux.EINVAL), address(&t.steps[t.count]) // none of them is there any more
	}
	t.clones = t.count
	clone := t.add(linux.SYS_CLONE3, address(&t.clone), uint64(unsafe.Sizeof(t.clone)))
	t.add(linux.SYS_EXIT, 0)
	clone.target = address(&t.steps[t.count]) // of the process, whose result is 0
	t.add(linux.SYS_RT_SIGPROCMASK, linux.SIG_SETMASK, address(&t.mask), 0, 8)
	t.arrange(3+len(s.Preserve), append(s.Inputs[:len(s.Inputs):len(s.Inputs)], memfd))
	t.restoreFiles()
	copy(t.name[:], Name)
	t.argv[0] = uintptr(unsafe.Pointer(&t.name))
	t.add(linux.SYS_EXECVEAT, uint64(3+len(s.Preserve)+len(s.Inputs)), address(&t.name[len(Name)]), address(&t.argv), address(&t.envp), linux.AT_EMPTY_PATH)
	t.resume()
	return nil
}

// arrange gives the process, which has copies of all descriptors, those that it is to
// keep, in their order from first on. They go by way of numbers above all of these, so
// that none is lost.
func (t *Thread) arrange(first int, fds []int) {
	above := first + len(fds)
	for _, fd := range fds {
		above = max(above, fd+1)
	}
	for i, fd := range fds {
		t.add(linux.SYS_DUP3, uint64(fd), uint64(above+i), syscall.O_CLOEXEC)
	}
	for i := range fds {
		t.add(linux.SYS_DUP3, uint64(above+i), uint64(first+i), 0)
	}
}

// restoreFiles gives the process the caller's limit of open files, unless it has been
// changed since package syscall raised it, which does the same for what it starts.
func (t *Thread) restoreFiles() {
	var now [2]uint64
	syscall.RawSyscall6(linux.SYS_PRLIMIT64, 0, linux.RLIMIT_NOFILE, 0, uintptr(unsafe.Pointer(&now)), 0, 0)
	t.files[0], t.files[1] = caller.Files()
	if t.files[0] < now[0] && now == [2]uint64{t.files[1] - 1, t.files[1]} {
		t.add(linux.SYS_PRLIMIT64, 0, linux.RLIMIT_NOFILE, address(&t.files), 0)
	}
}

// Wait waits until the process executes its program, for at most the given time, and
// returns its pid. When that fails, made tells whether at least the namespaces have been.
func (t *Thread) Wait(milliseconds int) (pid int, made bool, err error) {
	if !t.await(milliseconds) {
		return -1, atomic.LoadInt32(&t.pid) > 0, syscall.ETIMEDOUT
	}
	if errno := t.header[1]; errno != 0 {
		step := int(t.header[0]-uint32(address(&t.steps))) / int(unsafe.Sizeof(t.steps[0]))
		if step > t.clones {
			sys.Reap(int(t.pid))
		}
		return -1, step > 0, syscall.Errno(errno) // step 0 makes the namespaces
	}
	return int(t.pid), true, nil
}

// Makes tells whether it makes these namespaces.
func (t *Thread) Makes(flags int) bool { return t != nil && t.flags == flags }

// Started tells whether it has been told to start a process.
func (t *Thread) Started() bool { return t != nil && t.goOn != 0 }

// Drop ends a thread that has had no process to start, if it is there at all.
func (t *Thread) Drop() {
	if t == nil || t.Started() {
		return
	}
	t.add(linux.SYS_EXIT, 0)
	t.resume()
	t.await(patience) // one that the kernel holds up ends with its creator
}

// resume tells the thread that there are more steps.
func (t *Thread) resume() {
	atomic.StoreUint32(&t.goOn, 1)
	syscall.RawSyscall(linux.SYS_FUTEX, uintptr(unsafe.Pointer(&t.goOn)), linux.FUTEX_WAKE|linux.FUTEX_PRIVATE_FLAG, 1)
}

// late are the threads that have been given up. They may still run, and read what
// nothing else points to.
var late []*Thread

// await waits for the end of the thread, and tells whether it has come.
func (t *Thread) await(milliseconds int) bool {
	until := syscall.NsecToTimespec(int64(sys.Monotonic()+milliseconds) * 1_000_000)
	for atomic.LoadUint32(&t.alive) != 0 {
		_, _, errno := syscall.RawSyscall6(linux.SYS_FUTEX, uintptr(unsafe.Pointer(&t.alive)), linux.FUTEX_WAIT_BITSET, 1, uintptr(unsafe.Pointer(&until)), 0, linux.FUTEX_BITSET_MATCH_ANY)
		if errno == syscall.ETIMEDOUT && atomic.LoadUint32(&t.alive) != 0 {
			late = append(late, t)
			return false
		}
	}
	for _, fd := range t.open {
		sys.Close(fd)
	}
	t.open = nil
	runtime.KeepAlive(t)
	return true
}

func (t *Thread) add(number int, args ...uint64) *threadStep {
	s := &t.steps[t.count]
	t.count++
	s.number = uint64(number)
	copy(s.args[:], args)
	return s
}

func address[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }
