// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Package container is the lifecycle: create, start, kill, delete, state, list.
//
// It acts on plans and compiles none itself beyond asking package plan. A
// container is a directory below the root of states:
//
//	ROOT/ID             locked (flock) by whoever changes the container
//	ROOT/ID/config.json the bytes that the container was made of
//	ROOT/ID/state.json  the journal: written before the first side effect
//	ROOT/ID/start       the socket that the init waits at; gone once it runs
//
// Whatever dies in between, state.json names all that delete has to remove.
package container

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/cgroup"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/launch"
)

// stateVersion is raised when state.json changes its meaning.
const stateVersion = 1

// Status is a container's state, runtime.md.
type Status string

// The statuses; Paused is runc's.
const (
	Creating Status = "creating"
	Created  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// A State is what state.json holds.
type State struct {
	Version     int               `json:"version"`
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Status      Status            `json:"status"` // Creating or Created; the rest is asked of the kernel
	PID         int               `json:"pid"`
	StartTime   uint64            `json:"startTime"` // of PID, in clock ticks since boot: a pid can be reused
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Cgroups     []string          `json:"cgroups"`
	Groups      []string          `json:"groups,omitempty"`  // of resctrl, that go with it
	Unit        *Unit             `json:"unit,omitempty"`    // the scope that systemd has made of them
	Hooks       *specs.Hooks      `json:"hooks,omitempty"`   // startContainer, poststart and poststop
	Steps       []Step            `json:"steps"`             // of the launch program, those after the gate of start; read under a lock only
	OwnPIDs     bool              `json:"ownPids"`           // it has a PID namespace, so all end with the init
	Agent       *Agent            `json:"agent,omitempty"`   // of a seccomp filter that has one
	NoPivot     bool              `json:"noPivot,omitempty"` // exec has to know how it was made
	NoKeyring   bool              `json:"noKeyring,omitempty"`
	Exit        *Exit             `json:"exit,omitempty"` // as far as somebody saw the init end

	tell    func(format string, args ...any)
	dir     string
	lock    int
	drafted []byte // what lies beside state.json, see draft
	owner   int    // of state.json
}

// A Step is what a step of the launch program is for: start reports it if it fails.
type Step struct {
	Index  int    `json:"index"`
	Doing  string `json:"doing"`
	From   string `json:"from,omitempty"`
	Execve bool   `json:"execve,omitempty"`
}

// A Store is the directory of all containers.
type Store struct {
	Root string
	Tell func(format string, args ...any) // the user, of a wait that takes long; may be nil
}

func (s Store) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(format, args...)
	}
}

// CheckID tells whether id can name a container: a file name of letters, digits
// and "_", "+", "-", ".".
func CheckID(id string) error {
	bad := func(what, hint string) error { return &fail.Error{Where: "container id", Doing: what, Hint: hint} }
	switch {
	case id == "":
		return bad("container id cannot be empty", "")
	case len(id) > 255: // NAME_MAX
		return bad("invalid container ID format: it has "+itoa(len(id))+" characters", "255 are allowed")
	case id == "." || id == "..":
		return bad("invalid container ID format: "+quote(id), "it is the name of a directory")
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+-.", r) {
			return bad("invalid container ID format: "+quote(id), `letters, digits and "_", "+", "-", "." are allowed`)
		}
	}
	return nil
}

// make creates the container's directory, locked. The id must be new, or that of
// a container whose create was killed: what is left of that is removed first.
func (s Store) make(id string, warn func(string, ...any)) (*State, error) {
	if err := os.MkdirAll(s.Root, 0o700); err != nil {
		return nil, &fail.Error{Where: "--root", Doing: "make the directory of states", Err: err, Hint: hintFor("make the directory of states", err)}
	}
	dir := filepath.Join(s.Root, id)
	for {
		if err := os.Mkdir(dir, 0o700); errors.Is(err, os.ErrExist) {
			if s.removeHalfMade(id, warn) {
				continue
			}
			return nil, &fail.Error{Where: id, Doing: "container with given ID already exists", Hint: "choose another id, or delete it with: coracle delete --force " + id}
		} else if err != nil {
			return nil, &fail.Error{Where: "--root", Doing: "make the state of " + id, Err: err}
		}
		state := &State{Version: stateVersion, ID: id, Status: Creating, dir: dir, lock: -1, tell: s.tell}
		if err := state.acquire(syscall.LOCK_EX); err != nil && !errors.Is(err, os.ErrNotExist) {
			os.Remove(dir)
			return nil, err
		} else if err == nil {
			return state, nil
		} // somebody removed it before we had the lock: again
	}
}

// removeHalfMade removes a container that nobody makes any more: its journal says
// that it is being made, but the lock is free.
func (s Store) removeHalfMade(id string, warn func(string, ...any)) bool {
	state, err := s.Open(id, Exclusive|syscall.LOCK_NB)
	if state == nil {
		return false
	}
	defer state.Close()
	switch {
	case errors.Is(err, ErrHalfMade):
		return state.remove() == nil
	case err == nil && state.Status == Creating:
		return state.destroy(warn) == nil
	}
	return false
}

// Lock modes of Open.
const (
	Shared    = syscall.LOCK_SH
	Exclusive = syscall.LOCK_EX
	Unlocked  = 0
)

// Open reads a container's state under a lock of the given mode. A container
// whose journal was never written has an empty one; ErrHalfMade tells of it.
func (s Store) Open(id string, mode int) (*State, error) {
	return s.open(id, mode, make([]byte, 0, stateSize))
}

// stateSize is what most of the files have room in.
const stateSize = 8 << 10

// open is Open with a buffer for the file.
func (s Store) open(id string, mode int, buf []byte) (*State, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	state := &State{ID: id, dir: filepath.Join(s.Root, id), lock: -1, tell: s.tell}
	if mode != Unlocked {
		if err := state.acquire(mode); err != nil {
			return nil, notExist(id, err)
		}
	}
	err := state.read(buf)
	if errors.Is(err, os.ErrNotExist) {
		busy := mode == Unlocked && state.beingMade() // or deleted
		if _, err := os.Stat(state.dir); err != nil || busy {
			state.Close()
			return nil, notExist(id, cmp.Or(err, os.ErrNotExist))
		}
		return state, ErrHalfMade
	}
	if err != nil {
		state.Close()
		return nil, err
	}
	return state, nil
}

// read fills the state in from state.json.
func (s *State) read(buf []byte) error {
	data, uid, err := sys.ReadOwned(buf, filepath.Join(s.dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if err = s.decode(data); err == nil && s.ID != filepath.Base(s.dir) {
			err = errors.New("it is that of " + quote(s.ID))
		}
	}
	switch {
	case err != nil:
		return &fail.Error{Where: filepath.Base(s.dir), Doing: "read its state", Err: fmt.Errorf("%w: %w", errUnreadable, err),
			Hint: "remove what is left of it with: coracle delete --force " + filepath.Base(s.dir)}
	case s.Version > stateVersion:
		return &fail.Error{Where: s.ID, Doing: "its state is of a newer coracle: version " + itoa(s.Version) + ", and this one knows " + itoa(stateVersion),
			Hint: "use the coracle that made it"}
	}
	s.owner = uid
	return nil
}

// errUnreadable is the error for a state.json that cannot be made out.
var errUnreadable = errors.New("state.json is damaged")

// mine refuses a state that somebody else has written: it says what to kill and
// to remove, and root would do that for any user.
func (s *State) mine() error {
	if me := os.Geteuid(); s.owner != me {
		return &fail.Error{Where: s.ID, Doing: "its state belongs to user " + itoa(s.owner) + ", not to " + itoa(me), Hint: "call coracle as that user"}
	}
	return nil
}

// Look opens a container only to look at it.
func (s Store) Look(id string) (*State, error) {
	state, err := s.Open(id, Unlocked)
	if err != nil {
		return nil, halfMade(id, err)
	}
	return state, nil
}

// ErrHalfMade is the error for a container whose create was killed before it
// wrote its journal; there is nothing to undo but the directory.
var ErrHalfMade = errors.New("the container was never made")

// ErrNotExist is the error for a container that does not exist.
var ErrNotExist = errors.New("container does not exist")

func notExist(id string, err error) error {
	if e, ok := errors.AsType[*fail.Error](err); ok {
		return e
	}
	if !errors.Is(err, os.ErrNotExist) {
		return &fail.Error{Where: id, Doing: "open its state", Err: err}
	}
	return &fail.Error{Where: id, Err: ErrNotExist, Hint: "coracle list shows those that do; see --root"}
}

// acquire opens and locks the directory.
func (s *State) acquire(mode int) error {
	fd, err := sys.Open(s.dir, linux.O_RDONLY|linux.O_DIRECTORY)
	if err != nil {
		return &os.PathError{Op: "open", Path: s.dir, Err: err}
	}
	if err := sys.FlockWithin(fd, mode, lockPatience); err != nil {
		defer sys.Close(fd)
		if err == syscall.ETIMEDOUT {
			return s.locked(fd)
		}
		return &os.PathError{Op: "lock", Path: s.dir, Err: err}
	}
	if gone, err := sys.Unlinked(fd); err != nil || gone { // deleted while we waited
		sys.Close(fd)
		return &os.PathError{Op: "open", Path: s.dir, Err: syscall.ENOENT}
	}
	s.lock = fd
	return nil
}

// lockPatience is how long a command waits for another one on the same container:
// longer than anything but hooks takes.
const lockPatience = time.Minute

// locked says who works on the container.
func (s *State) locked(fd int) error {
	who := "another command"
	if pid := sys.FlockHolder(fd); pid > 0 {
		who = "process " + itoa(pid)
		if line, err := os.ReadFile("/proc/" + itoa(pid) + "/cmdline"); err == nil {
			who += " (" + strings.Join(strings.FieldsFunc(string(line), func(r rune) bool { return r == 0 }), " ") + ")"
		}
	}
	return &fail.Error{Where: s.ID, Doing: who + " has been at work on the container for " + lockPatience.String(), Err: syscall.ETIMEDOUT,
		Hint: "a hook without a timeout may be the reason; end the process and try again"}
}

// Close releases the lock.
func (s *State) Close() {
	if s == nil {
		return
	}
	sys.Close(s.lock)
	s.lock = -1
}

const newState = stateFile + ".new"

// write puts state.json in place, whole or not at all: it is written under another
// name and renamed.
func (s *State) write() error {
	data, err := s.encode()
	if err == nil && !bytes.Equal(data, s.drafted) {
		err = sys.WriteNewFile(s.lock, newState, data)
	}
	if err == nil {
		err = sys.ReplaceAt(s.lock, newState, stateFile)
	}
	s.drafted = nil
	if err != nil {
		sys.RemoveAt(s.lock, newState, false)
		return &fail.Error{Where: s.ID, Doing: "write its state", Err: err}
	}
	return nil
}

// draft writes what write will put in place when the status is next, as far as that
// is known, while there is time.
func (s *State) draft(next Status) {
	then := *s
	then.Status = next
	if data, err := then.encode(); err == nil && sys.WriteNewFile(s.lock, newState, data) == nil {
		s.drafted = data
	}
}

// remove deletes the directory: the last thing that delete does.
func (s *State) remove() error {
	for _, name := range [...]string{startSocket, config.Name, stateFile} {
		sys.RemoveAt(s.lock, name, false)
	}
	err := sys.RemoveDir(s.dir)
	if err != nil {
		err = os.RemoveAll(s.dir) // says why
	}
	if err != nil {
		return &fail.Error{Where: s.ID, Doing: "remove its state", Err: err}
	}
	return nil
}

// process tells whether the init still is the process that it was, and whether it is
// a zombie or about to be one.
func (s *State) process() (there, ended bool) {
	if s.PID <= 0 {
		return false, true
	}
	started, ended, err := sys.ProcessStart(s.PID)
	return err == nil && started == s.StartTime, ended
}

// alive tells whether the init is the process that it was, and can still run.
func (s *State) alive() bool {
	there, ended := s.process()
	return there && !ended
}

// Now asks the kernel for the container's status.
func (s *State) Now() Status {
	switch {
	case s.Status == Creating:
		if s.beingMade() {
			return Creating
		}
		return Stopped
	case !s.alive():
		return Stopped
	}
	if frozen, err := cgroup.Frozen(s.Cgroups); err == nil && frozen {
		return Paused
	}
	if s.waits() {
		return Created
	}
	return Running
}

// beingMade tells whether somebody holds the lock: create does until it is done.
func (s *State) beingMade() bool {
	if s.lock >= 0 {
		return false
	}
	probe := &State{dir: s.dir, lock: -1}
	err := probe.acquire(syscall.LOCK_SH | syscall.LOCK_NB)
	probe.Close()
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// waits tells whether the init waits for start: the socket is there, and the
// launch program is what the process executes. Either alone is not enough, as
// start may be killed before it removes the socket.
func (s *State) waits() bool {
	if _, err := os.Lstat(filepath.Join(s.dir, startSocket)); err != nil {
		return false
	}
	exe, err := os.Readlink("/proc/" + itoa(s.PID) + "/exe")
	if errors.Is(err, os.ErrPermission) { // an ordinary user may see no more than its name
		comm, _ := os.ReadFile("/proc/" + itoa(s.PID) + "/comm")
		return strings.TrimSpace(string(comm)) == launch.Name
	}
	return err == nil && strings.HasPrefix(exe, "/memfd:"+launch.Name)
}

const (
	startSocket = "start"
	stateFile   = "state.json"
)

// OCI is the state as hooks get it and "state" prints it.
func (s *State) OCI(status Status, pid int) specs.State {
	if status == Stopped {
		pid = 0
	}
	return specs.State{Version: s.OCIVersion, ID: s.ID, Status: specs.ContainerState(status), Pid: pid, Bundle: s.Bundle, Annotations: s.Annotations}
}

// UID is the owner of the container: whoever wrote its state.
func (s *State) UID() int { return s.owner }
