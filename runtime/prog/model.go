// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package prog

// A Kernel answers one system call of a model run: the step's index, and the
// values of its arguments. Addresses are given as the number of the data item.
type Kernel func(step int, args []uint64) int64

// An End is how a model run ended.
type End struct {
	Step  int   // the last step that ran
	Errno int64 // 0: execve or exit_group was reached and succeeded
}

// Run is the model of the interpreter: it runs the program against a kernel
// made of Go. The process that clone returns 0 to is the one that is followed,
// where the kernel answers so.
func (p *Program) Run(kernel Kernel) End {
	regs := make([]int64, len(p.Regs)+1)
	for i := 0; i < len(p.Steps); {
		s := &p.Steps[i]
		args := make([]uint64, len(s.Args))
		for n, a := range s.Args {
			switch a.Kind {
			case Register:
				args[n] = uint64(regs[a.Value])
			case InputFD:
				args[n] = uint64(p.FirstFD) + a.Value
			default:
				args[n] = a.Value
			}
		}
		result := kernel(i, args)
		if s.Ret != Drop {
			regs[s.Ret] = result
		}
		switch {
		case s.Branch.To != 0 && result == s.Branch.Result:
			i = p.Start(s.Branch.To)
		case result < 0:
			return End{Step: i, Errno: -result}
		case s.final():
			return End{Step: i}
		default:
			i++
		}
	}
	return End{Step: len(p.Steps) - 1}
}
