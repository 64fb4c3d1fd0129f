// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/coracle-oci/coracle/imgmgr/descriptor"
)

// A request is one HTTP request, as often as it takes.
type request struct {
	method string
	url    string
	header http.Header
	scope  string
	body   io.Reader // nil, or read once: a request with a body is not repeated here
	length int64
}

// once sends a request one time, twice if it needs to identify itself first. The
// body of the response must be closed. Statuses are not looked at, except 401.
func (h *host) once(ctx context.Context, r request) (*http.Response, error) {
	token, err := h.auth.header(ctx, r.scope)
	if err != nil {
		return nil, err
	}
	response, err := h.send(ctx, r, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	challenges := response.Header.Values("WWW-Authenticate")
	refused := newStatusError(response, r.method)
	fresh, err := h.auth.answer(ctx, challenges, r.scope, token)
	if err != nil {
		return nil, err
	}
	if fresh == "" || r.body != nil {
		// Nothing better to say, or the body is gone: the caller begins again,
		// and finds the new token.
		refused.fresh = fresh != ""
		return nil, refused
	}
	return h.send(ctx, r, fresh)
}

func (h *host) send(ctx context.Context, r request, authorization string) (*http.Response, error) {
	ctx, watch := newWatch(ctx, h.auth.client.options.Policy.Stall)
	var body io.Reader
	if r.body != nil {
		body = &watchedUpload{r.body, watch, r.length}
	}
	q, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		watch.stop()
		return nil, permanent(err.Error())
	}
	if r.header != nil {
		q.Header = r.header.Clone()
	}
	q.Header.Set("User-Agent", h.auth.client.options.UserAgent)
	if authorization != "" && q.URL.Host == h.base.Host {
		q.Header.Set("Authorization", authorization)
	}
	if r.body != nil {
		q.ContentLength = r.length
		if r.length == 0 {
			q.Body = http.NoBody
		}
	}
	response, err := h.client.Do(q)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		watch.stop()
		return nil, bare(err)
	}
	response.Body = &watchedBody{response.Body, ctx, watch}
	return response, nil
}

// bare strips the URL that net/http puts in front: errors name the image, and
// URLs of storage servers are long and hold signatures.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// do sends a request without a body until the status is one of those wanted,
// under the retry policy. The response's body must be closed.
func (r *Repository) do(ctx context.Context, what string, q request, want ...int) (*http.Response, error) {
	var response *http.Response
	err := r.client.run(ctx, what, func() (bool, error) {
		var err error
		if response, err = r.host.once(ctx, q); err != nil {
			return false, err
		}
		for _, w := range want {
			if response.StatusCode == w {
				return false, nil
			}
		}
		return false, newStatusError(response, q.method)
	})
	return response, err
}

// A statusError is an answer that we did not want.
type statusError struct {
	status     int
	method     string
	message    string // what the registry says, one line
	code       string // its first error code
	retryAfter time.Duration
	fresh      bool // 401, and there is a new token to try
}

// newStatusError reads and closes the response.
func newStatusError(response *http.Response, method string) *statusError {
	defer drain(response.Body)
	e := &statusError{status: response.StatusCode, method: method}
	e.retryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	const most = 8 << 10
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return e // the status says enough
	}
	var answer struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) == nil {
		var texts []string
		for _, m := range answer.Errors {
			texts = append(texts, strings.TrimSpace(strings.ToLower(m.Code)+" "+m.Message))
		}
		if e.message = strings.Join(texts, ", "); len(texts) > 0 {
			e.code = answer.Errors[0].Code
		}
	}
	if len(e.message) > 400 {
		e.message = e.message[:400] + "…"
	}
	return e
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("the registry answers %d %s to %s", e.status, http.StatusText(e.status), e.method)
	if e.message != "" {
		s += ": " + strings.ToValidUTF8(e.message, "?")
	}
	return s
}

func (e *statusError) temporary() bool {
	switch e.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.fresh
}

// isStatus tells whether err is one of some statuses.
func isStatus(err error, statuses ...int) bool {
	e, ok := errors.AsType[*statusError](err)
	if !ok {
		return false
	}
	for _, s := range statuses {
		if e.status == s {
			return true
		}
	}
	return false
}

// notFound turns a 404 into a NotFoundError.
func notFound(where, what string, err error) error {
	if isStatus(err, http.StatusNotFound) {
		return descriptor.NotFound(where, "%s: %v", what, err)
	}
	return err
}
