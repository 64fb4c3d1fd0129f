// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/internal/inroot"
)

// TestApply has the meaning of layers in a table. Each case is applied in both
// orders; slow says that the fast order must have given up.
func TestApply(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		want   string
		slow   bool
	}{
		{"one", [][]string{{"d/", "d/f=x", "l->d/f", "h=>d/f", "p|"}}, "d/ d/f=x h=x l->d/f p|", false},
		{"replace", [][]string{{"f=1"}, {"f=2"}}, "f=2", false},
		{"whiteout", [][]string{{"d/", "d/a=1", "d/b=1"}, {"d/", "d/.wh.a"}}, "d/ d/b=1", false},
		{"whiteout of a directory", [][]string{{"d/", "d/a=1", "e=1"}, {".wh.d"}}, "e=1", false},
		{"whiteout, then again", [][]string{{"d/", "d/a=1"}, {".wh.d"}, {"d/", "d/b=3"}}, "d/ d/b=3", false},
		{"whiteout and new in one layer", [][]string{{"d/", "d/a=1"}, {".wh.d", "d/", "d/b=2"}}, "d/ d/b=2", false},
		{"new and whiteout in one layer", [][]string{{"f=1"}, {"f=2", ".wh.f"}}, "f=2", false},
		{"implied and whiteout in one layer", [][]string{{"d/ 0700", "d/a=1"}, {"d/b=2", ".wh.d"}}, "d/ d/b=2", false},
		{"whiteout of nothing", [][]string{{"a=1"}, {"x/y/.wh.z"}}, "a=1", false},
		{"opaque", [][]string{{"d/", "d/a=1", "d/s/", "d/s/x=1"}, {"d/", "d/.wh..wh..opq", "d/b=2"}}, "d/ d/b=2", false},
		{"opaque late", [][]string{{"d/", "d/a=1"}, {"d/", "d/b=2", "d/.wh..wh..opq"}}, "d/ d/b=2", false},
		{"opaque root", [][]string{{"a=1", "d/"}, {".wh..wh..opq", "b=2"}}, "b=2", false},
		{"file over directory", [][]string{{"d/", "d/a=1"}, {"d=2"}}, "d=2", false},
		{"directory over file", [][]string{{"d=1"}, {"d/", "d/a=2"}}, "d/ d/a=2", false},
		{"file between directories", [][]string{{"d/", "d/a=1"}, {"d=2"}, {"d/", "d/b=3"}}, "d/ d/b=3", false},
		{"link over directory", [][]string{{"d/", "d/a=1"}, {"d->e"}}, "d->e", false},
		{"directory over link", [][]string{{"e/", "d->e"}, {"d/", "d/a=2"}}, "d/ d/a=2 e/", false},
		{"through a lower link", [][]string{{"e/", "d->e"}, {"d/a=2"}}, "d->e e/ e/a=2", true},
		{"through its own link", [][]string{{"e/", "d->e", "d/a=1"}}, "d->e e/ e/a=1", true},
		{"through a link that was replaced", [][]string{{"e/", "d->e"}, {"d/x=2"}, {"d=3"}}, "d=3 e/ e/x=2", true},
		{"whiteout through a link", [][]string{{"e/", "e/a=1", "d->e"}, {"d/.wh.a"}}, "d->e e/", true},
		{"through a dead link", [][]string{{"d->/e/f"}, {"d/a=2"}}, "d->/e/f e/ e/f/ e/f/a=2", true},
		{"out through a link", [][]string{{"d->../../../x"}, {"d/a=2"}}, "d->../../../x x/ x/a=2", true},
		{"directory between link and user", [][]string{{"e/", "d->e"}, {"d/"}, {"d/a=3"}}, "d/ d/a=3 e/", false},
		{"whiteout between link and user", [][]string{{"e/", "d->e"}, {".wh.d", "d/a=2"}}, "d/ d/a=2 e/", false},
		{"file as parent", [][]string{{"a=1"}, {"a/b=2"}}, "a/ a/b=2", false},
		{"file as parent in one layer", [][]string{{"a=1", "a/b=2"}}, "a/ a/b=2", true},
		{"link to itself, then directory", [][]string{{"a->a"}, {"a/"}}, "a/", false},
		{"twice", [][]string{{"a=1", "a=2", "a->x", "a/", "a=5"}}, "a=5", true},
		{"directory twice", [][]string{{"d/", "d/", "d/a=1", "d/"}}, "d/ d/a=1", false},
		{"no parents", [][]string{{"a/b/c/d=1"}}, "a/ a/b/ a/b/c/ a/b/c/d=1", false},
		{"implied by what is hidden", [][]string{{"a/b=1"}, {"a/.wh.b"}}, "a/", false},
		{"hard link to the layer below", [][]string{{"a=1"}, {"b=>a"}}, "a=1 b=1", true},
		{"hard link, target replaced above", [][]string{{"a=1", "b=>a"}, {"a=2"}}, "a=2 b=1", true},
		{"hard link, both replaced above", [][]string{{"a=1", "b=>a"}, {"a=2", "b=2"}}, "a=2 b=2", false},
		{"hard link to a symbolic link", [][]string{{"a->x", "b=>a"}}, "a->x b->x", false},
		{"aufs", [][]string{{".wh..wh.plnk/", ".wh..wh.plnk/x=1", ".wh..wh.aufs=", ".wh..wh.orph/", "a=1"}}, "a=1", false},
		{"absolute and dotted", [][]string{{"/a=1", "./b=2", "//c//d=3", "../../e=4", "f/../g=5"}}, "a=1 b=2 c/ c/d=3 e=4 g=5", false},
		{"two cases, two forms", [][]string{{"A=1", "a=2", "\u00e9=3", "e\u0301=4"}}, "A=1 a=2 e\u0301=4 \u00e9=3", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			layers := make([][]byte, len(c.layers))
			for i, l := range c.layers {
				layers[i] = layerOf(t, l...)
			}
			fast, _, err := applyTo(t, Options{}, layers...)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, fast); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			slow, _, err := applyTo(t, Options{bottomUp: true}, layers...)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := snapshot(t, fast), snapshot(t, slow); a != b {
				t.Errorf("last layer first:\n%s\nfirst layer first:\n%s", a, b)
			}
			if got := givesUp(t, layers); got != c.slow {
				t.Errorf("the fast order gives up: %v, want %v", got, c.slow)
			}
		})
	}
}

// givesUp tells whether the fast order cannot do the layers.
func givesUp(t *testing.T, layers [][]byte) bool {
	t.Helper()
	root, err := inroot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	blobs := make([]Blob, len(layers))
	for i, l := range layers {
		blobs[i] = blob("", l)
	}
	_, err = apply(root, blobs, Options{MaxBytes: 1 << 20, Single: os.Getuid() != 0}, true)
	return errors.Is(err, errOrder)
}

// TestApplyRefuses: one error, and nothing outside the directory.
func TestApplyRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]string
		say    string
	}{
		{"hard link out", [][]string{{"h=>../../../../etc/passwd"}}, "no file of the image"},
		{"hard link absolute", [][]string{{"h=>/etc/hostname"}}, "no file of the image"},
		{"hard link through a link", [][]string{{"d->/etc", "h=>d/hostname"}}, "no file of the image"},
		{"hard link to a directory", [][]string{{"d/", "h=>d"}}, "no file of the image"},
		{"hard link to itself", [][]string{{"h=>h"}}, "no file of the image"},
		{"hard link over its target", [][]string{{"h=1", "h=>h"}}, "hard link to itself"},
		{"hard link over its target's directory", [][]string{{"h/", "h/f=1", "h=>h/f"}}, "which it replaces"},
		{"links in a circle", [][]string{{"a->b", "b->a", "a/x=1"}}, "too many levels"},
		{"root is a file", [][]string{{".=x"}}, "the root"},
		{"root is a link", [][]string{{"/->/tmp"}}, "the root"},
		{"whiteout of the directory", [][]string{{"d/", "d/.wh.."}}, "a whiteout of nothing"},
		{"whiteout of the parent", [][]string{{"d/", "d/.wh..."}}, "a whiteout of nothing"},
		{"whiteout of no name", [][]string{{"d/", "d/.wh."}}, "a whiteout of nothing"},
		{"below a whiteout", [][]string{{"d/", ".wh.d/x=1"}}, "something below"},
		{"component of 256", [][]string{{strings.Repeat("x", 256) + "=1"}}, "more than 255 bytes"},
	} {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.name, up), func(t *testing.T) {
				layers := make([][]byte, len(c.layers))
				for i, l := range c.layers {
					layers[i] = layerOf(t, l...)
				}
				_, _, err := applyTo(t, Options{bottomUp: up}, layers...)
				if err == nil || !strings.Contains(err.Error(), c.say) {
					t.Errorf("got %v, want something with %q", err, c.say)
				}
			})
		}
	}
}

// TestVerify: what the digests do not cover is not believed, and a blob that is
// wrong is named so, whatever the decoder thinks of it.
func TestVerify(t *testing.T) {
	good := layerOf(t, "a=1")
	for _, c := range []struct {
		name string
		blob Blob
		say  string
	}{
		{"diff ID", Blob{Name: "l", Compression: descriptor.Plain, DiffID: digest.FromString("x"), Open: blob("", good).Open}, "its content has diff ID"},
		{"truncated tar", blob("l", good[:700]), "unexpected EOF"},
		{"blob reader", Blob{Name: "l", Compression: descriptor.Plain, DiffID: digest.FromBytes(good), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(good), failing{errors.New("content has digest")})), nil
		}}, "content has digest"},
		{"plain says gzip", Blob{Name: "l", Compression: descriptor.Gzip, DiffID: digest.FromBytes(good), Open: blob("", good).Open}, "gzip: the content is none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := inroot.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			_, err = Apply(root, []Blob{c.blob}, Options{MaxBytes: 1 << 20})
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v, want something with %q", err, c.say)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestOrders compares the two orders on random layers over few names, so that
// they meet often.
func TestOrders(t *testing.T) {
	seed := rand.Uint64()
	rounds, fast := 120, 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		var layers [][]byte
		var text []string
		for range 1 + r.IntN(4) {
			lines := randomLayer(r)
			text = append(text, strings.Join(lines, "  "))
			layers = append(layers, layerOf(t, lines...))
		}
		a, _, errA := applyTo(t, Options{}, layers...)
		b, _, errB := applyTo(t, Options{bottomUp: true}, layers...)
		if fmt.Sprint(errA) != fmt.Sprint(errB) && (errA == nil || errB == nil) {
			t.Fatalf("seed %d round %d: %v\nlast first: %v\nfirst first: %v", seed, i, strings.Join(text, "\n"), errA, errB)
		}
		if errA != nil {
			continue
		}
		if !givesUp(t, layers) {
			fast++
		}
		if x, y := snapshot(t, a), snapshot(t, b); x != y {
			t.Fatalf("seed %d round %d:\n%s\nlast layer first:\n%s\nfirst layer first:\n%s", seed, i, strings.Join(text, "\n"), x, y)
		}
	}
	if fast < rounds/5 {
		t.Errorf("seed %d: the fast order did only %d of %d", seed, fast, rounds)
	}
}

func randomLayer(r *rand.Rand) []string {
	pick := func(depth int) string {
		parts := make([]string, 1+r.IntN(depth))
		for i := range parts {
			parts[i] = string(rune('a' + r.IntN(3)))
		}
		return strings.Join(parts, "/")
	}
	tidy := r.IntN(4) > 0 // as tools make them: directories, then what is in them
	var lines []string
	seen := map[string]bool{}
	for range 1 + r.IntN(6) {
		p := pick(3)
		if tidy && seen[p] {
			continue
		}
		if tidy {
			for i := range p {
				if p[i] == '/' && !seen[p[:i]] {
					seen[p[:i]] = true
					lines = append(lines, p[:i]+"/")
				}
			}
		}
		seen[p] = true
		dir, base := splitPath(p)
		if dir != "" {
			dir += "/"
		}
		switch r.IntN(10) {
		case 0, 1:
			lines = append(lines, fmt.Sprintf("%s/ 07%d5", p, r.IntN(8)))
		case 2:
			lines = append(lines, p+"->"+pick(2))
		case 3:
			lines = append(lines, dir+".wh."+base)
		case 4:
			lines = append(lines, dir+".wh..wh..opq")
		case 5:
			lines = append(lines, p+"=>"+pick(2))
		default:
			lines = append(lines, fmt.Sprintf("%s=%d", p, r.IntN(1000)))
		}
	}
	return lines
}
