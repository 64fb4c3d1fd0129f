// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package cli

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/coracle-oci/coracle/imgmgr/copy"
	"github.com/coracle-oci/coracle/imgmgr/descriptor"
	"github.com/coracle-oci/coracle/imgmgr/layout"
	"github.com/coracle-oci/coracle/imgmgr/ref"
	"github.com/coracle-oci/coracle/imgmgr/registry"
	"github.com/coracle-oci/coracle/internal/command"
)

// transfer is the flags of verbs that may talk to a registry.
type transfer struct {
	globals  *globals
	insecure bool
	ca       []string
	certDir  string
	creds    string
	authFile string
	tries    int
	stall    time.Duration
	timeout  time.Duration
	jobs     int
	platform string
	all      bool

	shared *registry.Client
}

// newTransfer adds the flags to a verb. Every verb that takes a reference calls it.
func newTransfer(g *globals, c *cobra.Command) *transfer {
	t := &transfer{globals: g}
	f := c.Flags()
	f.BoolVar(&t.insecure, "insecure", false, "talk plain HTTP to registries")
	f.StringArrayVar(&t.ca, "ca", nil, "PEM `FILE` of a certificate authority to trust besides the system's (may be repeated)")
	f.StringVar(&t.certDir, "cert-dir", "", "`DIR` with *.crt authorities, and *.cert and *.key of ours (default: /etc/containers/certs.d/HOST, /etc/docker/certs.d/HOST)")
	f.StringVar(&t.creds, "creds", "", "credentials, `USER:PASSWORD` (default: those of docker login and podman login)")
	f.StringVar(&t.authFile, "authfile", "", "`FILE` with credentials, a config.json or auth.json")
	f.IntVar(&t.tries, "tries", 6, "how often in a row a request may fail without any progress")
	f.DurationVar(&t.stall, "stall-timeout", 30*time.Second, "give up a connection that is silent for so long, and try again")
	f.DurationVar(&t.timeout, "timeout", 0, "give up everything after so long (default: never)")
	f.IntVar(&t.jobs, "jobs", 4, "how many blobs are moved at a time")
	f.StringVar(&t.platform, "platform", "", "`OS/ARCH[/VARIANT]` to choose from an index (default: that of this machine)")
	return t
}

// addAll adds --all, for verbs that can keep a whole index.
func (t *transfer) addAll(c *cobra.Command) {
	c.Flags().BoolVar(&t.all, "all", false, "keep an index with the images for all platforms")
	c.MarkFlagsMutuallyExclusive("all", "platform")
}

// client returns the registry client. It is made when it is first needed.
func (t *transfer) client() (*registry.Client, error) {
	if t.shared != nil {
		return t.shared, nil
	}
	var err error
	t.shared, err = registry.New(registry.Options{
		Insecure: t.insecure, CAFiles: t.ca, CertDir: t.certDir, Credentials: t.creds, AuthFile: t.authFile,
		UserAgent: "imgmgr/" + command.Version,
		Policy:    registry.Policy{Tries: t.tries, Stall: t.stall},
		Retrying: func(what string, err error, wait time.Duration) {
			t.globals.progress("%s: %v; trying again in %v", what, err, wait.Round(100*time.Millisecond))
		},
	})
	return t.shared, err
}

// selection returns which image of an index is meant.
func (t *transfer) selection() (copy.Selection, error) {
	if t.platform == "" {
		return copy.Selection{All: t.all, Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}, nil
	}
	p, err := descriptor.ParsePlatform(t.platform)
	if err != nil {
		return copy.Selection{}, usage(err)
	}
	return copy.Selection{Platform: p, Strict: true}, nil
}

// limit applies --timeout.
func (t *transfer) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, t.timeout, fmt.Errorf("not done within %v (--timeout)", t.timeout))
}

// options returns how blobs are moved, with a line for each.
func (t *transfer) options() copy.Options {
	return copy.Options{Jobs: t.jobs, Done: func(d v1.Descriptor, how string) {
		t.globals.progress("%s %s (%s)", how, d.Digest, size(d.Size))
	}}
}

// An image is an image in a layout, ready to be read.
type image struct {
	Layout   *layout.Layout
	Manifest v1.Descriptor // a manifest, never an index
	Name     string        // as the user gave it
	release  func()
}

// Close releases the layout: gc may run again.
func (i *image) Close() { i.release() }

// image finds the image that a reference names, for verbs that read one. An
// image of a registry or archive comes into the store first, without a name: gc
// removes it again. Close it.
func (t *transfer) image(ctx context.Context, text string) (*image, error) {
	r, err := ref.Parse(text)
	if err != nil {
		return nil, usage(err)
	}
	want, err := t.selection()
	if err != nil {
		return nil, err
	}
	s, err := copy.Open(r, t.globals.store, t.client)
	if err != nil {
		return nil, err
	}
	if r.Transport != ref.Store && r.Transport != ref.Layout {
		defer s.Close()
		return t.fetched(ctx, s, text, want)
	}
	defer s.Close()
	var l *layout.Layout
	if r.Transport == ref.Store {
		l, err = t.globals.store()
	} else {
		l, err = layout.Open(r.Path)
	}
	if err != nil {
		return nil, err
	}
	unlock, err := l.Use()
	if err != nil {
		l.Close()
		return nil, err
	}
	i := &image{Layout: l, Name: text, release: func() { unlock(); l.Close() }}
	p, err := copy.PlanPush(ctx, s, want)
	if err != nil {
		i.Close()
		return nil, err
	}
	i.Manifest = p.Root
	if err := copy.CheckPlatform(l, p, want); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// fetched brings an image into the store for image.
func (t *transfer) fetched(ctx context.Context, s copy.Source, text string, want copy.Selection) (*image, error) {
	l, err := t.globals.newStore()
	if err != nil {
		return nil, err
	}
	unlock, err := l.Use()
	if err != nil {
		l.Close()
		return nil, err
	}
	i := &image{Layout: l, Name: text, release: func() { unlock(); l.Close() }}
	ctx, cancel := t.limit(ctx)
	defer cancel()
	p, err := t.into(ctx, s, l, "", want)
	if err != nil {
		i.Close()
		return nil, err
	}
	i.Manifest = p.Root
	return i, nil
}

// interval is how often a transfer says where it is.
const interval = 10 * time.Second

// into pulls an image into a layout, and tells how it goes.
func (t *transfer) into(ctx context.Context, s copy.Source, l *layout.Layout, name string, want copy.Selection) (*copy.Plan, error) {
	p, err := copy.PlanPull(ctx, s, l, want)
	if err != nil {
		return nil, err
	}
	for _, d := range p.Foreign {
		t.globals.warn("layer %s is not in registries but at URLs that its author chose; it is left out", d.Digest)
	}
	if blobs, bytes := p.Missing(); blobs > 0 {
		t.globals.progress("copying %d of %d blobs, %s", blobs, len(p.Blobs), size(bytes))
		meter := copy.Meter(p, l)
		stop := copy.Every(interval, func() { t.globals.progress("%s of %s", size(meter()), size(bytes)) })
		defer stop()
	}
	return p, copy.Pull(ctx, s, l, name, p, want, t.options())
}
