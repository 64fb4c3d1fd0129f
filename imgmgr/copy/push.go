// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/imgmgr/registry"
)

// Push brings the image of a plan from a layout to a registry, and names it
// there with the tag of the reference. The root goes last: nobody can pull an
// image that is not whole.
func Push(ctx context.Context, from *layout.Layout, p *Plan, c *registry.Client, to ref.Ref, o Options) error {
	if to.Digest != "" && to.Digest != string(p.Root.Digest) {
		return descriptor.Invalid(to.String(), "the image has digest %s", p.Root.Digest)
	}
	repository, err := c.Repository(to)
	if err != nil {
		return err
	}
	mounts := mountSources(from, to)
	err = each(ctx, o.Jobs, p.Blobs, func(ctx context.Context, i Item) error {
		open := func() (registry.Content, error) { return openVerified(from, i.Descriptor) }
		how, err := repository.Push(ctx, i.Descriptor, open, mounts[i.Digest])
		if err == nil && o.Done != nil {
			o.Done(i.Descriptor, string(how))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range p.Documents {
		references := []string{string(d.Digest)}
		if d.Digest == p.Root.Digest && to.Tag != "" {
			references = []string{to.Tag}
		}
		for _, r := range references {
			if err := repository.PushManifest(ctx, r, d.Descriptor, d.Content); err != nil {
				return err
			}
		}
	}
	return nil
}

// openVerified opens a blob to be sent. It is hashed first: a registry would
// refuse a wrong one at the end of the upload only, and would not say why.
func openVerified(l *layout.Layout, d v1.Descriptor) (registry.Content, error) {
	f, err := l.OpenFile(d)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, layout.Verifying(l.Path()+" blob "+string(d.Digest), f, d)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mountSources returns for blobs of the store a repository of the same registry
// that should have them: that of another name under which the store has them. A
// registry that knows better simply lets us upload.
func mountSources(l *layout.Layout, to ref.Ref) map[digest.Digest]string {
	sources := map[digest.Digest]string{}
	names, manifests, err := l.Names()
	if err != nil {
		return sources
	}
	for i, name := range names {
		r, err := ref.Parse(name)
		if err != nil || r.Transport != ref.Store || r.Host() != to.Host() || r.Repository() == to.Repository() {
			continue
		}
		addSources(l, manifests[i], r.Repository(), sources, 0)
	}
	return sources
}

func addSources(l *layout.Layout, d v1.Descriptor, repository string, into map[digest.Digest]string, depth int) {
	children, err := l.Children(d)
	if err != nil || depth > maxDepth {
		return
	}
	for _, c := range children {
		if kind := descriptor.KindOf(c.MediaType); kind == descriptor.KindIndex || kind == descriptor.KindManifest {
			addSources(l, c, repository, into, depth+1)
		} else if l.Has(c) && into[c.Digest] == "" {
			into[c.Digest] = repository
		}
	}
}

// PlanPush compiles what goes out of a layout. What the other end has is not
// known before it is asked, blob by blob.
func PlanPush(ctx context.Context, s Source, want Selection) (*Plan, error) {
	return Compile(ctx, s, want, func(v1.Descriptor) bool { return false }, nil)
}
