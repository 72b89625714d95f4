// Compiled into the test binary of cmd/go by an overlay (see go_test_proxy.py): with GOTESTPROXY_FRONT set, the
// binary's own proxy answers nothing itself. What a script asks of the test proxy's faults ($GOPROXY/404,
// $GOPROXY/sumdb-503, ...) goes to the test proxy at GOTESTPROXY_UPSTREAM; every real proxy request goes to
// GOTESTPROXY_FRONT, the proxy under test, which has the same test proxy as its upstream. Some scripts pin the words of
// the test proxy's page for what it does not have, so the proxy under test speaks through them there.

package main_test

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
)

var faultPath = regexp.MustCompile(`^/mod/([0-9]+|invalid|redirect|quiet|sumdb-[a-z0-9]+)/`)

func frontHandler() http.Handler {
	front := os.Getenv("GOTESTPROXY_FRONT")
	if front == "" {
		return http.HandlerFunc(proxyHandler)
	}
	toFront := relayTo(front, "/mod", wordsOfTheTestProxy)
	toUpstream := relayTo(os.Getenv("GOTESTPROXY_UPSTREAM"), "", nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if faultPath.MatchString(r.URL.Path) {
			toUpstream.ServeHTTP(w, r)
			return
		}
		toFront.ServeHTTP(w, r)
	})
}

func relayTo(base, strip string, modify func(*http.Response) error) http.Handler {
	target, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	relay := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: modify,
	}
	return http.StripPrefix(strip, relay)
}

func wordsOfTheTestProxy(r *http.Response) error {
	if r.StatusCode != http.StatusNotFound {
		return nil
	}
	const page = "404 page not found\n"
	r.Body.Close()
	r.Body = io.NopCloser(strings.NewReader(page))
	r.ContentLength = int64(len(page))
	r.Header.Set("Content-Length", strconv.Itoa(len(page)))
	return nil
}
