// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"io"
	"time"
)

// A watch gives up a request when nothing has happened for a while. Timeouts of
// whole requests do not work for blobs: a slow line is not a dead one.
type watch struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// newWatch returns a context for one request. Stop the watch when the response
// body is closed.
func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, w
}

// touch says that something has happened.
func (w *watch) touch() { w.timer.Reset(w.limit) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// A watchedBody touches the watch with each byte of a response, and translates
// the cancellation into its cause.
type watchedBody struct {
	io.ReadCloser
	ctx   context.Context
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.touch()
	}
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.watch.stop()
	return b.ReadCloser.Close()
}

// A watchedUpload touches the watch with each byte of a request. After the last
// one the registry may hash and move the blob for a while before it answers:
// the limit grows.
type watchedUpload struct {
	io.Reader
	watch *watch
	left  int64
}

// finishing is how much more patience the end of an upload gets.
const finishing = 10

func (u *watchedUpload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if u.left -= int64(n); u.left <= 0 {
		u.watch.timer.Reset(u.watch.limit * finishing)
	} else if n > 0 {
		u.watch.touch()
	}
	if err != nil && err != io.EOF {
		err = &localError{err}
	}
	return n, err
}
