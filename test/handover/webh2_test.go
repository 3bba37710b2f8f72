package handover

//lint:file-ignore SA1019 net/http refuses the pseudo-header :protocol

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// webOverH2 is a WebSocket that goes over a stream of HTTP/2 (RFC 8441).
type webOverH2 struct {
	net.Conn // of all streams; only its addresses are used
	to       *io.PipeWriter
	from     io.ReadCloser
	cancel   context.CancelFunc
}

func (w *webOverH2) Read(b []byte) (int, error)  { return w.from.Read(b) }
func (w *webOverH2) Write(b []byte) (int, error) { return w.to.Write(b) }
func (w *webOverH2) CloseWrite() error           { return w.to.Close() }
func (w *webOverH2) SetDeadline(t time.Time) error {
	time.AfterFunc(time.Until(t), w.cancel)
	return nil
}

func (w *webOverH2) Close() error {
	defer w.cancel()
	return errors.Join(w.to.Close(), w.from.Close())
}

// openWebOverH2 asks for a tunnel by extended CONNECT.
func openWebOverH2(cc *http2.ClientConn, conn net.Conn, name string) (*tunnel, error) {
	ctx, cancel := context.WithCancel(context.Background())
	from, to := io.Pipe()
	req := (&http.Request{
		Method: "CONNECT", URL: &url.URL{Scheme: "https", Host: "a", Path: "/upgrade", RawQuery: name}, Host: "a", Body: from,
		Header: http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}},
	}).WithContext(ctx)
	a, err := cc.RoundTrip(req)
	if err == nil && a.StatusCode != 200 {
		a.Body.Close()
		err = fmt.Errorf("the tunnel was answered with %d", a.StatusCode)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return newTunnel(&webOverH2{conn, to, a.Body, cancel}, name), nil
}

// TestWebSocketsOverHTTP2Move: WebSockets over streams of HTTP/2 go on over reloads, a restart of the master and an upgrade, with the connections that they share with
// each other and with requests: no byte is lost or comes twice, each has one line, and no old worker stays for them.
func TestWebSocketsOverHTTP2Move(t *testing.T) {
	s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt")
	var errs errorsOf
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conns := make([]*http2.ClientConn, sized(8, 100))
	const perConn = 3 // tunnels of a connection
	list := make([]*tunnel, perConn*len(conns))
	each(len(conns), func(i int) {
		conn, err := tls.Dial("tcp", s.https, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			errs.add(err)
			return
		}
		if conns[i], err = new(http2.Transport).NewClientConn(conn); err != nil {
			errs.add(err)
			return
		}
		for j := range perConn {
			if list[perConn*i+j], err = openWebOverH2(conns[i], conn, fmt.Sprintf("h2.%d.%d", i, j)); err != nil {
				errs.add(err)
			}
		}
	})
	if errs.report(t, "before any reload"); t.Failed() {
		return
	}
	tunnelsDone := echo(ctx, list, 20*time.Millisecond, &errs)
	ask := func(round int) {
		each(len(conns), func(i int) {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("https://a/r/webh2/%d.%d", i, round), nil)
			a, err := conns[i].RoundTrip(req)
			if err != nil {
				errs.add(fmt.Errorf("round %d: %w", round, err))
				return
			}
			defer a.Body.Close()
			if n, err := io.Copy(io.Discard, a.Body); err != nil || a.StatusCode != 200 || n != 200 {
				errs.add(fmt.Errorf("round %d: %d with %d bytes: %v", round, a.StatusCode, n, err))
			}
		})
	}
	reload := func(ctx context.Context) error {
		text, err := s.lb.Reload(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}
	upgrade := func(ctx context.Context) error {
		text, err := s.lb.Upgrade(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}
	changes := []func(context.Context) error{reload, reload, s.lb.Restart, reload, upgrade, reload}
	for round, change := range changes {
		old := s.worker()
		var asked sync.WaitGroup
		asked.Go(func() { ask(round) }) // some of them while the connection moves
		if err := change(ctx); err != nil {
			t.Fatal(err)
		}
		asked.Wait()
		s.gone(old)
	}
	cancel()
	tunnelsDone()
	errs.report(t, "clients")
	for i, cc := range conns {
		if state := cc.State(); state.Closed || state.Closing {
			t.Errorf("connection %d was told to end: %+v", i, state)
		}
		cc.Close()
	}
	bytes := map[string][2]int64{}
	for _, u := range list {
		bytes["/upgrade?"+u.addr] = [2]int64{u.Out, u.In}
	}
	for _, e := range s.logged("fe", len(list)+len(changes)*len(conns)) {
		if want, ok := bytes[e.path]; ok && (e.sent < want[1] || e.sent > want[1]+1000) {
			t.Errorf("%s: %d bytes were sent, the log has %d", e.path, want[1], e.sent)
		}
	}
	s.until("the end of all connections", func() bool { return s.stat("fe", "FRONTEND", "scur") == 0 })
}
