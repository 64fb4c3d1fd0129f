// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command man writes coracle's manual pages and shell completions, as they lie
// below PREFIX/share: "go run ./tools/man DIR". They are made of the table of
// verbs, as help is.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/coracle-oci/coracle/runtime/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	os.Unsetenv("XDG_RUNTIME_DIR") // --root shows the default of the system, not of who builds
	program := cli.Program()
	files := map[string]string{
		"bash-completion/completions/coracle":    program.Completion("bash"),
		"zsh/site-functions/_coracle":            program.Completion("zsh"),
		"fish/vendor_completions.d/coracle.fish": program.Completion("fish"),
	}
	for name, text := range program.ManPages() {
		files["man/man8/"+name] = text
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
