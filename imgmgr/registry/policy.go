// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
)

// A Policy says when to try again. It is the only place that decides so.
type Policy struct {
	Tries         int           // consecutive failures without progress, then it is an error
	Backoff       time.Duration // wait after the first failure; doubles, with jitter
	MaxBackoff    time.Duration // longest such wait
	MaxRetryAfter time.Duration // longest wait that a registry can ask for
	Stall         time.Duration // longest silence: connecting, waiting for a header, between bytes
}

// withDefaults fills in what is not set.
func (p Policy) withDefaults() Policy {
	if p.Tries <= 0 {
		p.Tries = 6
	}
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&p.Backoff, 500*time.Millisecond)
	set(&p.MaxBackoff, 10*time.Second)
	set(&p.MaxRetryAfter, 30*time.Second)
	set(&p.Stall, 30*time.Second)
	return p
}

// mostTries bounds the tries of one transfer even if each brings a little.
const mostTries = 200

// run calls step until it succeeds or its error is not worth another try. A
// step that reports progress (new bytes) starts the count anew: a long blob over
// a bad line may break more often than a short one.
func (c *Client) run(ctx context.Context, what string, step func() (progress bool, err error)) error {
	p := c.options.Policy
	for failures, total := 0, 1; ; total++ {
		progress, err := step()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if progress {
			failures = 0
		}
		failures++
		limit, asked := p.verdict(err)
		if failures >= limit || total >= mostTries {
			return final(err, total)
		}
		wait := max(asked, p.backoff(failures))
		if c.options.Retrying != nil {
			c.options.Retrying(what, err, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// backoff is the wait after some failures: doubled each time, and somewhere
// between half and all of it, so that many clients do not come back at once.
func (p Policy) backoff(failures int) time.Duration {
	d := p.MaxBackoff
	if failures < 16 {
		d = min(d, p.Backoff<<(failures-1))
	}
	return d/2 + rand.N(d/2+1)
}

// verdict returns how many failures of this kind in a row are too many (1: do
// not try again), and how long the registry asked us to wait.
func (p Policy) verdict(err error) (limit int, asked time.Duration) {
	if status, ok := errors.AsType[*statusError](err); ok {
		if !status.temporary() {
			return 1, 0
		}
		return p.Tries, min(status.retryAfter, p.MaxRetryAfter)
	}
	if isPermanent(err) {
		return 1, 0
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return min(p.Tries, 3), 0 // it restarts, or nobody is there
	}
	return p.Tries, 0
}

// isPermanent tells whether the same request would fail the same way. What is
// not known to be permanent is tried again: a connection can break in many ways.
func isPermanent(err error) bool {
	if _, ok := errors.AsType[permanent](err); ok {
		return true
	}
	if _, ok := errors.AsType[*localError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*descriptor.InvalidError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*descriptor.NotFoundError](err); ok {
		return true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsNotFound
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true // a plain HTTP server
	}
	return errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// permanent is an error that no other try changes.
type permanent string

func (e permanent) Error() string { return string(e) }

// A localError is a failure on our side: the disk, the file that is sent.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// errStalled is the cause of a request that was given up for silence.
var errStalled = errors.New("no byte for too long")

// final is the error after the last try. It says how many there were.
func final(err error, tries int) error {
	if tries == 1 {
		return err
	}
	return &triedError{err, tries}
}

type triedError struct {
	err   error
	tries int
}

func (e *triedError) Error() string { return fmt.Sprintf("%v (tried %d times)", e.err, e.tries) }
func (e *triedError) Unwrap() error { return e.err }

// retryAfter reads a Retry-After header: seconds, or a date (RFC 9110, 10.2.3).
// It returns 0 for one that says nothing or lies in the past.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		const most = 1 << 30 // seconds; the policy's cap is far below
		return time.Duration(min(seconds, most)) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// sleep waits, or returns why the context ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
