// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/coracle-oci/coracle/internal/fail"
	"github.com/coracle-oci/coracle/internal/sys"
	"github.com/coracle-oci/coracle/runtime/config"
	"github.com/coracle-oci/coracle/runtime/plan"
)

// writeState writes the OCI state for a hook.
func writeState(fd int, state specs.State) error {
	data, err := json.Marshal(state)
	if err == nil {
		err = sys.WriteAll(fd, data)
	}
	if err != nil {
		return &fail.Error{Doing: "write the state for hooks", Err: err}
	}
	return nil
}

// runHook runs a hook of the runtime namespace: the state on its standard input,
// the hook's own environment, and an end when its time is up.
func (s *State) runHook(h *specs.Hook, state specs.State) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = []string{}, bytes.NewReader(data), &output, &output
	cmd.Env = append(cmd.Env, h.Env...)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	for name, to := range map[string]*io.Writer{plan.HooksStdout: &cmd.Stdout, plan.HooksStderr: &cmd.Stderr} {
		if path := s.Annotations[name]; path != "" {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return &fail.Error{Where: config.Name + ` annotations["` + name + `"]`, Doing: "open " + path, Err: err}
			}
			defer file.Close()
			*to = io.MultiWriter(&output, file)
		}
	}
	// A hook that left a child behind with our pipe must not hold us.
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return sys.Kill(-cmd.Process.Pid, int(syscall.SIGKILL)) }
	err = cmd.Run()
	switch {
	case cmd.ProcessState == nil: // it never ran
		return err
	case err == exec.ErrWaitDelay || err == nil && cmd.ProcessState.Success():
		return nil
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return hookError("", h.Path, status, ctx.Err() != nil, strings.TrimSpace(output.String()))
}

// runHooks runs all hooks of one kind, in their order; with each, that of
// poststop, a failure is told and the others still run.
func (s *State) runHooks(kind string, hooks []specs.Hook, status Status, each func(error)) error {
	for i := range hooks {
		err := s.runHook(&hooks[i], s.OCI(status, s.PID))
		if err == nil {
			continue
		}
		where := fmt.Sprintf("%s hooks.%s[%d]", config.Name, kind, i)
		if e, ok := err.(*fail.Error); ok && e.Where == "" {
			e.Where = where
		} else {
			err = &fail.Error{Where: where, Doing: "run " + hooks[i].Path, Err: err}
		}
		if each == nil {
			return err
		}
		each(err)
	}
	return nil
}

// poststop runs the poststop hooks; a failure is a warning (runtime.md, lifecycle).
func (s *State) poststop(warn func(string, ...any)) {
	if s.Hooks == nil {
		return
	}
	s.runHooks("poststop", s.Hooks.Poststop, Stopped, func(err error) { warn("%s", fail.Reason(err)) })
}
