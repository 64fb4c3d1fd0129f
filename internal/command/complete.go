// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package command

import (
	"os"
	"slices"
	"strings"

	"github.com/coracle-oci/coracle/internal/fail"
)

// CompletionVerbs returns "completion", which prints a script for a shell, and the
// verb that those scripts call: the program itself knows best what can be typed,
// so the scripts know nothing. operands returns what can stand for an operand
// such as "ID"; the global flags are those of the line that is completed.
func CompletionVerbs(operands func(c *Call, kind string) []string) []Maker {
	return []Maker{
		{"completion", func() Verb {
			return Verb{
				Name: "completion", Args: "bash|zsh|fish", Min: 1, Max: 1,
				Summary: "print a script that completes the command line in a shell",
				Long: `
examples:
  coracle completion bash > /etc/bash_completion.d/coracle
  coracle completion zsh > /usr/local/share/zsh/site-functions/_coracle
  coracle completion fish > ~/.config/fish/completions/coracle.fish
  source <(coracle completion bash)    for this shell only

exit status:
  0  it was printed
  1  the shell is not known`,
				Run: func(c *Call) error {
					script := c.Program.Completion(c.Args[0])
					if script == "" {
						return &fail.Error{Doing: "unknown shell " + quote(c.Args[0]), Hint: "bash, zsh and fish are known"}
					}
					_, err := os.Stdout.WriteString(script)
					return err
				},
			}
		}},
		{"__complete", func() Verb {
			return Verb{
				Name: "__complete", Hidden: true, Max: -1, Rest: true,
				Run: func(c *Call) error {
					_, err := os.Stdout.WriteString(complete(c.Program, c.Args, operands))
					return err
				},
			}
		}},
	}
}

// Completion returns the script for a shell, "" for one that is not known.
func (p *Program) Completion(shell string) string {
	script := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[shell]
	return strings.ReplaceAll(script, "PROGRAM", p.Name)
}

// complete returns what the last of words can become: one candidate per line
// with what it means behind a tab, or ":files" or ":dirs".
func complete(p *Program, words []string, operands func(*Call, string) []string) string {
	c := &completer{
		call:     &Call{Program: p, values: map[string][]string{}},
		flags:    slices.Concat(p.Globals, answers),
		verbs:    p.Verbs,
		operands: operands,
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, w := range words[:len(words)-1] {
		c.pass(w)
	}
	c.last(words[len(words)-1])
	return c.out.String()
}

// A completer reads a line up to the word that is to be completed.
type completer struct {
	call     *Call
	flags    []Flag
	verbs    []Maker // one of them comes next; nil: none does
	helping  bool    // the line is "help", and verbs
	waiting  *Flag   // the word before was a flag that needs a value
	plain    bool    // "--", or the words of another program
	operands func(*Call, string) []string
	out      strings.Builder
}

// pass reads a word that is complete.
func (c *completer) pass(word string) {
	switch {
	case c.waiting != nil:
		c.call.values[c.waiting.Names[0]] = []string{word}
		c.waiting = nil
	case !c.plain && word == "--":
		c.plain = true
	case !c.plain && isFlag(word):
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch f := find(c.flags, name); {
		case f == nil:
		case given:
			c.call.values[f.Names[0]] = []string{value}
		case f.Value != "" && f.Value[0] != '[':
			c.waiting = f
		}
	case c.call.Verb == nil && (word == "help" || word == "h"):
		c.call.Verb, c.flags, c.helping = &Verb{}, nil, true
	case c.verbs != nil:
		v := made(c.verbs, word)
		if v == nil {
			v = &Verb{} // nothing is known of what follows
		}
		c.verbs = v.Verbs
		if !c.helping {
			c.call.Verb, c.flags = v, slices.Concat(v.Flags, answers[:1])
		}
	default:
		c.call.Args = append(c.call.Args, word)
		c.plain = c.plain || c.call.Verb.Rest
	}
}

// last offers what the word that is being typed can become.
func (c *completer) last(word string) {
	switch {
	case c.waiting != nil:
		c.value(c.waiting, "", word)
	case !c.plain && strings.HasPrefix(word, "-") && strings.Contains(word, "="):
		typed, value, _ := strings.Cut(word, "=")
		if f := find(c.flags, strings.TrimLeft(typed, "-")); f != nil {
			c.value(f, typed+"=", value)
		}
	case !c.plain && strings.HasPrefix(word, "-"):
		for _, f := range c.flags {
			for _, n := range f.Names {
				if len(n) > 1 && !f.Hidden {
					c.offer("--"+n, word, f.Help)
				}
			}
		}
	case c.verbs != nil:
		for _, v := range shown(c.verbs) {
			c.offer(v.word(), word, v.Summary)
		}
	default:
		c.operand(word)
	}
}

// value offers the values of a flag; before is what the word begins with.
func (c *completer) value(f *Flag, before, typed string) {
	switch {
	case len(f.Words) > 0:
		for _, w := range f.Words {
			c.offer(before+w, before+typed, "")
		}
	case f.Value == "DIR":
		c.out.WriteString(":dirs\n")
	case f.Value == "FILE" || f.Value == "SOCKET":
		c.out.WriteString(":files\n")
	}
}

// operand offers what can stand at the place of the next operand. Verb.Args says
// what that is: "ID [SIGNAL]", "ID...", "bash|zsh|fish".
func (c *completer) operand(typed string) {
	kinds := strings.Fields(c.call.Verb.Args)
	n := len(c.call.Args)
	if n >= len(kinds) && len(kinds) > 0 && strings.Contains(kinds[len(kinds)-1], "...") {
		n = len(kinds) - 1
	}
	if n >= len(kinds) {
		return
	}
	switch kind := strings.Trim(kinds[n], "[]."); {
	case kind == "BUNDLE" || kind == "DIR":
		c.out.WriteString(":dirs\n")
	case kind == "FILE" || kind == "PROFILE":
		c.out.WriteString(":files\n")
	case strings.Contains(kind, "|"):
		for w := range strings.SplitSeq(kind, "|") {
			c.offer(w, typed, "")
		}
	default:
		for _, w := range c.operands(c.call, kind) {
			c.offer(w, typed, "")
		}
	}
}

func (c *completer) offer(word, typed, meaning string) {
	if !strings.HasPrefix(word, typed) {
		return
	}
	c.out.WriteString(word)
	if meaning != "" {
		c.out.WriteString("\t" + meaning)
	}
	c.out.WriteByte('\n')
}

// completionScripts ask the program itself. Bash splits words at "=", so they are
// put together again; what it is offered is then only what stands behind it.
const bashScript = `# bash completion for PROGRAM
_PROGRAM() {
	local words=() i
	for ((i = 1; i <= COMP_CWORD; i++)); do
		if ((${#words[@]})) && [[ ${COMP_WORDS[i]} == "=" || ${COMP_WORDS[i - 1]} == "=" ]]; then
			words[${#words[@]} - 1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
		fi
	done
	local last=${words[${#words[@]} - 1]} line cur=${COMP_WORDS[COMP_CWORD]#=}
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
		:files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		:dirs) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		*)
			line=${line%%$'\t'*}
			[[ $last == -*=* ]] && line=${line#*=}
			COMPREPLY+=("$line")
			;;
		esac
	done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _PROGRAM PROGRAM
`

const zshScript = `#compdef PROGRAM
# zsh completion for PROGRAM
_PROGRAM() {
	local line
	local -a words_so_far offers
	words_so_far=("${(@)words[2,CURRENT]}")
	while IFS= read -r line; do
		case $line in
		:files) compset -P '-*='; _files ;;
		:dirs) compset -P '-*='; _files -/ ;;
		*) offers+=("${${line//:/\\:}/$'\t'/:}") ;;
		esac
	done < <("${words[1]}" __complete -- "${words_so_far[@]}" 2>/dev/null)
	((${#offers})) && _describe PROGRAM offers
}
if [ "${funcstack[1]}" = _PROGRAM ]; then _PROGRAM "$@"; else compdef _PROGRAM PROGRAM; fi
`

const fishScript = `# fish completion for PROGRAM
function __PROGRAM_complete
	set -l words (commandline -opc) (commandline -ct)
	set -l typed (commandline -ct)
	for line in ($words[1] __complete -- $words[2..] 2>/dev/null)
		switch $line
			case :files
				__fish_complete_path $typed
			case :dirs
				__fish_complete_directories $typed
			case '*'
				echo $line
		end
	end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
`
