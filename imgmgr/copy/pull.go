// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package copy

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
)

// Options are how a copy is done.
type Options struct {
	Jobs int // blobs at a time; 0: 4
	// Done is told of each blob that has arrived, and how: "copied", "exists",
	// "mounted". May be nil. It is called by several goroutines.
	Done func(d v1.Descriptor, how string)
}

const defaultJobs = 4

// Pull brings an image into a layout and gives it a name ("" for none). The plan
// comes from [PlanPull]. The caller holds the layout's Use lock.
func Pull(ctx context.Context, s Source, to *layout.Layout, name string, p *Plan, want Selection, o Options) error {
	err := each(ctx, o.Jobs, p.Blobs, func(ctx context.Context, i Item) error {
		if i.Have {
			return nil
		}
		copied, err := fetch(ctx, s, i.Descriptor, to)
		if err == nil && o.Done != nil {
			how := "exists"
			if copied {
				how = "copied"
			}
			o.Done(i.Descriptor, how)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := CheckPlatform(to, p, want); err != nil {
		return err
	}
	for _, d := range p.Documents {
		if d.Have {
			continue
		}
		if err := store(to, d); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	root := p.Root
	root.URLs = nil
	if p.index != "" {
		root.Annotations = maps.Clone(root.Annotations)
		if root.Annotations == nil {
			root.Annotations = map[string]string{}
		}
		root.Annotations[chosenFrom] = choice(p.index, want.Platform)
	}
	return to.Tag(name, root)
}

// chosenFrom is the annotation in index.json that says from which index, and for
// which platform, an image was chosen. The index itself is not kept; without the
// note, the next pull would have to ask for it again, which registries count.
const chosenFrom = "io.coracle.chosen-from"

func choice(index digest.Digest, p v1.Platform) string {
	return string(index) + " " + descriptor.FormatPlatform(descriptor.Normalize(p))
}

// chosenBefore looks for the notes in a layout.
func chosenBefore(l *layout.Layout, p v1.Platform) func(digest.Digest) (v1.Descriptor, bool) {
	return func(index digest.Digest) (v1.Descriptor, bool) {
		_, manifests, err := l.Names()
		if err != nil {
			return v1.Descriptor{}, false
		}
		for _, d := range manifests {
			if d.Annotations[chosenFrom] == choice(index, p) && l.Has(d) {
				d.Annotations = nil
				return d, true
			}
		}
		return v1.Descriptor{}, false
	}
}

// PlanPull compiles what Pull does. Documents that the layout has are not asked
// for: pulling an image that has not changed costs one HEAD request.
func PlanPull(ctx context.Context, s Source, to *layout.Layout, want Selection) (*Plan, error) {
	known := func(d v1.Descriptor) []byte {
		if !to.Has(d) {
			return nil
		}
		content, err := to.ReadBlob(d, descriptor.MaxManifest)
		if err != nil {
			return nil // damaged: fetched again
		}
		return content
	}
	want.chosen = chosenBefore(to, want.Platform)
	return Compile(ctx, s, want, to.Has, known)
}

// fetch brings one blob, and reports whether it was not there already.
func fetch(ctx context.Context, s Source, d v1.Descriptor, to *layout.Layout) (bool, error) {
	i, err := ingest(ctx, d, to)
	if err != nil {
		return false, err
	}
	defer i.Close()
	if i.Done() {
		return false, nil
	}
	err = s.Fetch(ctx, d, i)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		// What is kept for the next time is what fills the disk now.
		_ = i.Discard() // the first error says it all
	}
	return true, err
}

// ingest opens a partial blob. That may wait for another process that fetches the
// same one, in a flock(2) that nothing wakes: when the context ends we stop
// waiting for the answer instead, and whoever gets it then closes it.
func ingest(ctx context.Context, d v1.Descriptor, to *layout.Layout) (*layout.Ingest, error) {
	type answer struct {
		i   *layout.Ingest
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		i, err := to.Ingest(d)
		answers <- answer{i, err}
	}()
	select {
	case a := <-answers:
		return a.i, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				a.i.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// store writes a document under its own digest, whatever its algorithm.
func store(to *layout.Layout, d Document) error {
	i, err := to.Ingest(d.Descriptor)
	if err != nil {
		return err
	}
	defer i.Close()
	if i.Done() {
		return nil
	}
	if err := i.Reset(); err != nil {
		return err
	}
	if _, err := i.Write(d.Content); err != nil {
		return err
	}
	return i.Commit()
}

// CheckPlatform refuses an image that is not an index and is for another
// platform than the one that the user named. Only its config knows.
func CheckPlatform(to *layout.Layout, p *Plan, want Selection) error {
	if !want.Strict || want.All || len(p.Documents) != 1 {
		return nil
	}
	where := "manifest " + string(p.Root.Digest)
	m, err := descriptor.ParseManifest(where, p.Root.MediaType, p.Documents[0].Content)
	if err != nil || descriptor.KindOf(m.Config.MediaType) != descriptor.KindConfig {
		return err
	}
	data, err := to.ReadBlob(m.Config, descriptor.MaxConfig)
	if err != nil {
		return err
	}
	config, err := descriptor.ParseConfig("config "+string(m.Config.Digest), data)
	if err != nil {
		return err
	}
	only := v1.Index{Manifests: []v1.Descriptor{{MediaType: p.Root.MediaType, Platform: &config.Platform}}}
	_, err = descriptor.Select(where, only, want.Platform)
	return err
}

// each calls work for all items, some at a time. The first error stops the
// others, and is the one returned.
func each[T any](ctx context.Context, jobs int, items []T, work func(context.Context, T) error) error {
	if jobs <= 0 {
		jobs = defaultJobs
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(jobs, len(items)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				if err := work(ctx, items[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// Meter returns a function that tells how many bytes of a plan's blobs are in a
// layout by now, partial blobs included.
func Meter(p *Plan, to *layout.Layout) func() int64 {
	return func() int64 {
		var n int64
		for _, b := range p.Blobs {
			if !b.Have {
				n += to.Progress(b.Descriptor)
			}
		}
		return n
	}
}

// Every calls tell at an interval until the function that it returns is called.
func Every(interval time.Duration, tell func()) (stop func()) {
	ticker, done := time.NewTicker(interval), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				tell()
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}
