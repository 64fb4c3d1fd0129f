// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/coracle-oci/coracle/internal/fail"
)

// An authority knows how to identify us to one registry. It learns from the
// first 401 and then sends what is needed at once.
//
// Tokens are asked for as docker does: GET realm?service=…&scope=… with basic
// credentials, or POST with a refresh token (distribution, spec/auth).
type authority struct {
	host   *host
	client *Client

	mu        sync.Mutex // held while a token is fetched: the others need it too
	challenge *challenge
	creds     credential
	loaded    bool
	tokens    map[string]string // scope → header
}

// header returns the Authorization header to send, or "" if nothing is known yet.
func (a *authority) header(ctx context.Context, scope string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.challenge == nil {
		return "", nil
	}
	return a.compose(ctx, scope)
}

// answer returns the header to send after a 401 that came although we sent
// used. It returns "" if there is nothing else to try.
func (a *authority) answer(ctx context.Context, challenges []string, scope, used string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := choose(parseChallenges(challenges))
	if c == nil {
		return "", nil
	}
	a.challenge = c
	// Another goroutine may have fetched a new token while this request ran with
	// the old one; else the one in hand has expired or does not suffice.
	if used != "" && a.tokens[scope] == used {
		delete(a.tokens, scope)
	}
	h, err := a.compose(ctx, scope)
	if err != nil || h == used {
		return "", err
	}
	return h, nil
}

// compose returns the header for the challenge that is known.
func (a *authority) compose(ctx context.Context, scope string) (string, error) {
	if !a.loaded {
		creds, err := a.client.creds.find(a.host.name)
		if err != nil {
			return "", err
		}
		a.creds, a.loaded = creds, true
	}
	if a.creds.AccessToken != "" {
		return "Bearer " + a.creds.AccessToken, nil
	}
	if a.challenge.scheme == "basic" {
		if a.creds.Username == "" {
			return "", nil
		}
		return basic(a.creds.Username, a.creds.Password), nil
	}
	if t := a.tokens[scope]; t != "" {
		return t, nil
	}
	token, err := a.fetch(ctx, scope)
	if err != nil {
		return "", err
	}
	if a.tokens == nil {
		a.tokens = map[string]string{}
	}
	a.tokens[scope] = "Bearer " + token
	return a.tokens[scope], nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// fetch asks the token server.
func (a *authority) fetch(ctx context.Context, scope string) (string, error) {
	realm, err := a.realm()
	if err != nil {
		return "", err
	}
	var token string
	err = a.client.run(ctx, "get a token for "+a.host.name, func() (bool, error) {
		var err error
		token, err = a.fetchOnce(ctx, realm, scope)
		return false, err
	})
	if isStatus(err, http.StatusUnauthorized, http.StatusForbidden) {
		err = &fail.Error{Where: a.host.name, Doing: "get a token from " + realm.Host, Err: err, Hint: credentialsHint}
	}
	return token, err
}

const credentialsHint = "give credentials with --creds USER:PASSWORD or log in with docker login or podman login"

func (a *authority) fetchOnce(ctx context.Context, realm *url.URL, scope string) (string, error) {
	query := url.Values{"scope": strings.Fields(scope), "client_id": {"imgmgr"}}
	if service := a.challenge.parameters["service"]; service != "" {
		query.Set("service", service)
	}
	q := request{method: http.MethodGet, header: http.Header{}}
	target := *realm
	if a.creds.RefreshToken != "" {
		query.Set("scope", scope) // one value here, one parameter per scope below
		query.Set("grant_type", "refresh_token")
		query.Set("refresh_token", a.creds.RefreshToken)
		form := query.Encode()
		q.method, q.body, q.length = http.MethodPost, strings.NewReader(form), int64(len(form))
		q.header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		existing := target.Query()
		for k, v := range query {
			if k != "client_id" { // for the POST form only
				existing[k] = v
			}
		}
		target.RawQuery = existing.Encode()
		if a.creds.Username != "" {
			q.header.Set("Authorization", basic(a.creds.Username, a.creds.Password))
		}
	}
	q.url = target.String()
	response, err := a.host.send(ctx, q, "")
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", newStatusError(response, q.method+" "+realm.Path)
	}
	return readToken(response)
}

func readToken(response *http.Response) (string, error) {
	defer drain(response.Body)
	const most = 1 << 20
	data, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return "", err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return "", permanent("the token server's answer is not valid JSON")
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", permanent("the token server's answer has no token")
	}
	return token, nil
}

// realm returns the URL of the token server, if our credentials may go there.
//
// A registry chooses it, so that it could send us anywhere. On the registry's own
// host it may be anything that is not weaker than what the user chose. Elsewhere
// it must be HTTPS unless the user allowed plain HTTP, and a public registry may
// not point into a private network. A private registry may: that is where
// internal token servers are.
func (a *authority) realm() (*url.URL, error) {
	text := a.challenge.parameters["realm"]
	u, err := url.Parse(text)
	refuse := func(why string) (*url.URL, error) {
		return nil, &fail.Error{Where: a.host.name, Doing: "get a token", Err: permanent("realm " + text + " " + why)}
	}
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return refuse("is not a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || a.host.base.Scheme == "https"):
		return refuse("is not HTTPS")
	case u.Hostname() == a.host.base.Hostname():
		return u, nil
	case isPrivate(u.Hostname()) && !isPrivate(a.host.base.Hostname()):
		return refuse("is in a private network, the registry is not")
	}
	return u, nil
}

// isPrivate looks at the name only: what a name resolves to may change between
// the look and the connection.
func isPrivate(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || !strings.Contains(name, ".") && !strings.Contains(name, ":") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

// unauthorized adds the hint to a 401 or 403.
func unauthorized(where, doing string, err error) error {
	if _, ok := errors.AsType[*fail.Error](err); ok || !isStatus(err, http.StatusUnauthorized, http.StatusForbidden) {
		return err
	}
	return &fail.Error{Where: where, Doing: doing, Err: err, Hint: credentialsHint}
}
