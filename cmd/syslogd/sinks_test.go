package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/syslogd/sink/encode"
)

// TestSinksOverHTTP opens one of each encoding as the configuration has it, with everything that a request can have.
func TestSinksOverHTTP(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range encode.Names() {
		var got *http.Request
		var body []byte
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			if name == "elasticsearch" {
				io.WriteString(w, `{"errors":false}`)
			}
		}))
		c, err := config.Parse("x", []byte("listen: udp://:514\noutputs:\n- {file: /a, format: rfc5424, forward: {to: \""+server.URL+"\", encoding: "+name+
			", compress: gzip, timeout: 20s, headers: {X-Scope-OrgID: tenant}, header_files: {X-Api-Key: "+token+"}, bearer_file: "+token+"}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		to := c.Outputs[0].Forward
		peer, err := sinks()[to.Scheme](to)
		if err != nil {
			t.Fatal(err)
		}
		a := peer.Deliver(context.Background(), []sink.Record{{Line: []byte("<13>1 2026-11-21T03:04:05Z h app - - - text")}})
		if a.Verdict != sink.Taken {
			t.Errorf("%s: %+v", name, a)
		}
		if h := got.Header; h.Get("Authorization") != "Bearer secret" || h.Get("X-Api-Key") != "secret" || h.Get("X-Scope-Orgid") != "tenant" || h.Get("Content-Encoding") != "gzip" ||
			!strings.HasPrefix(string(body), "\x1f\x8b") || got.Method != http.MethodPost {
			t.Errorf("%s: %v", name, h)
		}
		if err := peer.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}
