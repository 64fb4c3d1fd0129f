// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package selftest

import (
	"strings"

	"github.com/coracle-oci/coracle/internal/sys/linux"
	"github.com/coracle-oci/coracle/runtime/launch"
	"github.com/coracle-oci/coracle/runtime/prog"
)

const (
	atFDCWD  = ^uint64(0) - 99 // -100
	mostText = 8192            // of one file
	started  = 42              // exit status of a payload that has done its work
)

// payload returns the program that containers run: it prints files, and makes
// sure that directories cannot be made. It is a launch program itself, so that
// nothing has to be brought along for any architecture.
func payload(c *check) ([]byte, error) {
	var b prog.Builder
	b.Input("nobody") // reports have nowhere to go; the exit status says enough
	here := prog.Const(atFDCWD, "AT_FDCWD")
	buffer := b.Struct("&text", make([]byte, mostText))
	for _, name := range c.prints {
		missing := b.Label()
		title := mark + name + "\n"
		b.Do("say which file follows", prog.Write, prog.Int(1), b.String(title), prog.Int(len(title)))
		file := b.Reg("file")
		step := b.Do("open "+name, prog.Openat, here, b.String(name), prog.Int(linux.O_RDONLY|linux.O_CLOEXEC))
		step.Ret, step.Branch = file, prog.Branch{Result: -int64(linux.ENOENT), To: missing}
		n := b.Get("n", "read it", prog.Read, file.Arg(), buffer, prog.Int(mostText))
		b.Do("print it", prog.Write, prog.Int(1), buffer, n.Arg())
		b.Place(missing)
	}
	for _, name := range c.readonly {
		kept := b.Label()
		b.Do("make "+name, prog.Mkdirat, here, b.String(name), prog.Int(0o755)).Branch = prog.Branch{Result: -int64(linux.EROFS), To: kept}
		b.Do("say that it could be made", prog.Exit, prog.Int(1))
		b.Place(kept)
	}
	b.Do("end", prog.Exit, prog.Int(started))
	p := b.Program(3, 0)
	if err := p.Check(); err != nil {
		return nil, err
	}
	image, err := launch.Assemble(p)
	if err != nil {
		return nil, err
	}
	return image.Bytes, nil
}

// mark begins the title of each file in what a payload prints.
const mark = "\x01"

// printed is the text of each file that a payload has printed.
func printed(output string) map[string]string {
	files := map[string]string{}
	for part := range strings.SplitSeq(output, mark) {
		name, text, _ := strings.Cut(part, "\n")
		files[name] = text
	}
	return files
}
