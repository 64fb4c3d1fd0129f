// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

import (
	"strconv"
	"strings"
)

// Line returns step i as people read it: the register that keeps its result,
// the call with its arguments, and where it continues on its expected result.
func (p *Program) Line(i int, errnoName func(int) string) (ret, call, branch string) {
	s := &p.Steps[i]
	if s.Ret != Drop {
		ret = p.Regs[s.Ret-1]
	}
	args := make([]string, len(s.Args))
	for n, a := range s.Args {
		args[n] = p.argText(a)
	}
	call = s.Call.String() + "(" + strings.Join(args, ", ") + ")"
	if s.Branch.To != 0 {
		result := strconv.FormatInt(s.Branch.Result, 10)
		if name := errnoName(int(-s.Branch.Result)); s.Branch.Result < 0 && name != "" {
			result = name
		}
		branch = result + " → " + strconv.Itoa(p.Start(s.Branch.To))
	}
	return ret, call, branch
}

func (p *Program) argText(a Arg) string {
	switch a.Kind {
	case Register:
		return p.Regs[a.Value-1]
	case InputFD:
		return p.Inputs[a.Value]
	case Address:
		d := p.Data[a.Value]
		if a.Offset != 0 {
			return "&" + d.Text + "[" + strconv.Itoa(int(a.Offset)) + "]"
		}
		if d.Text != "" {
			return d.Text
		}
		return strconv.Quote(strings.TrimSuffix(string(d.Bytes), "\x00"))
	}
	if a.Text != "" {
		return a.Text
	}
	return strconv.FormatInt(int64(a.Value), 10)
}
