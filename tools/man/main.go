// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// Command man writes the programs' manual pages and shell completions, as they lie
// below PREFIX/share: "go run ./tools/man DIR". They are made of the tables of
// verbs, as help is.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	cninet "github.com/coracle-oci/coracle/cni-plugins/cli"
	imgmgr "github.com/coracle-oci/coracle/imgmgr/cli"
	"github.com/coracle-oci/coracle/internal/command"
	runtime "github.com/coracle-oci/coracle/runtime/cli"
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
	files := map[string]string{}
	coracle := runtime.Program()
	addPages(files, coracle)
	addCompletions(files, coracle.Name, coracle.Completion("bash"), coracle.Completion("zsh"), coracle.Completion("fish"))
	for _, root := range []*cobra.Command{imgmgr.Root(), cninet.Root()} {
		if err := addCobra(files, root); err != nil {
			return err
		}
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

func addPages(files map[string]string, p command.Program) {
	for name, text := range p.ManPages() {
		files["man/man8/"+name] = text
	}
}

func addCompletions(files map[string]string, name, bash, zsh, fish string) {
	files["bash-completion/completions/"+name] = bash
	files["zsh/site-functions/_"+name] = zsh
	files["fish/vendor_completions.d/"+name+".fish"] = fish
}
