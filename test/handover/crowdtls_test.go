package handover

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

// secureDialer connects over TLS.
func secureDialer(addr string, cfg *tls.Config) dialer {
	return func() (*keeper, error) { return keepTLS(addr, cfg) }
}

// h2Client is an HTTP/2 client of one connection.
type h2Client struct {
	*http.Client
	dials atomic.Int32
}

func newH2(cfg *tls.Config) *h2Client {
	h := &h2Client{}
	tr := &http.Transport{TLSClientConfig: cfg, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(true)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	h.Client = &http.Client{Transport: tr, Timeout: 30 * time.Second}
	return h
}

func (h *h2Client) get(url string) error {
	a, err := h.Get(url)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	n, err := io.Copy(io.Discard, a.Body)
	if err == nil && (a.StatusCode != 200 || n != 200 || a.ProtoMajor != 2) {
		err = fmt.Errorf("%s: %d with %d bytes of %s", url, a.StatusCode, n, a.Proto)
	}
	return err
}

// curl asks one URL after another on a connection, in a version of HTTP, and wants to connect once.
func curl(ctx context.Context, s *site, version string, requests int) error {
	url := fmt.Sprintf("https://%s/delay/300?curl%s=[1-%d]", s.https, strings.Trim(version, "-."), requests)
	out, err := exec.CommandContext(ctx, "curl", "-sSk", version, "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n", url).CombinedOutput()
	if want := "200 1\n" + strings.Repeat("200 0\n", requests-1); err != nil || string(out) != want {
		return fmt.Errorf("curl %s: %v: %s", version, err, out)
	}
	return nil
}

// opensslClient is s_client with a kept connection; ask sends a request through it.
type opensslClient struct {
	*keeper
	cmd *exec.Cmd
}

func newOpenSSL(addr string, options ...string) (*opensslClient, error) {
	cmd := exec.Command("openssl", append([]string{"s_client", "-quiet", "-verify_quiet", "-connect", addr}, options...)...)
	ours, theirs := net.Pipe()
	cmd.Stdin, cmd.Stdout = theirs, theirs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o := &opensslClient{&keeper{c: ours}, cmd}
	o.r = bufio.NewReaderSize(ours, 512)
	return o, nil
}

func (o *opensslClient) close() {
	o.cmd.Process.Kill()
	o.c.Close()
	o.cmd.Wait()
}

// TestSecureCrowdsMove is TestCrowdsMove over TLS: connections of TLS 1.3 and 1.2, of HTTP/2, WebSockets and requests that run, of Go's
// clients, OpenSSL's and curl's, over reloads, restarts of the master and an upgrade.
func TestSecureCrowdsMove(t *testing.T) {
	tape.Require(t, "openssl")
	tape.Require(t, "curl")
	s := start(t, "ssl crt", "ssl alpn h2,http/1.1 crt")
	var errs errorsOf
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tls13 := secureDialer(s.https, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	tls12 := secureDialer(s.https, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})

	idles := idleBy(tls13, "tls13", sized(150, 5000), &errs)
	defer func() { leave(idles) }()
	idles = append(idles, idleBy(tls12, "tls12", sized(50, 1000), &errs)...)
	h2 := make([]*h2Client, sized(40, 1000))
	streams := func(round int) {
		each(len(h2), func(i int) {
			if err := h2[i].get(fmt.Sprintf("https://%s/r/h2/%d.%d", s.https, i, round)); err != nil {
				errs.add(err)
			}
		})
	}
	for i := range h2 {
		h2[i] = newH2(&tls.Config{InsecureSkipVerify: true})
		defer h2[i].CloseIdleConnections()
	}
	streams(0)
	slowDone := slowBy(ctx, tls13, "slow", sized(20, 300), 200*time.Millisecond, &errs)
	websDone := tunnelsBy(ctx, tls13, true, sized(20, 300), 100*time.Millisecond, &errs)
	var clients []*opensslClient
	for i, version := range []string{"-tls1_3", "-tls1_2"} {
		o, err := newOpenSSL(s.https, version)
		if err != nil {
			t.Fatal(err)
		}
		defer o.close()
		if clients = append(clients, o); o.get(fmt.Sprintf("/r/openssl/%d.0", i)) != nil {
			t.Fatal("openssl has no answer")
		}
	}
	const curls = 6
	var curling sync.WaitGroup
	for _, version := range []string{"--http2", "--http1.1"} {
		curling.Go(func() {
			if err := curl(ctx, s, version, curls); err != nil && ctx.Err() == nil {
				errs.add(err)
			}
		})
	}
	if errs.report(t, "before any reload"); t.Failed() {
		return
	}

	var took []time.Duration
	step := func(name string, do func() error) {
		t.Helper()
		old := s.worker()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		asked := time.Now()
		took = append(took, s.gone(old).Sub(asked))
		t.Logf("%s: the old worker was gone %v later", name, took[len(took)-1].Round(time.Millisecond))
	}
	reload := func() error {
		text, err := s.lb.Reload(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	}
	tick := time.NewTicker(time.Duration(sized(1, 1000)) * time.Millisecond)
	defer tick.Stop()
	rounds := sized(4, 20)
	for i := range rounds {
		step("reload", reload)
		if i == rounds/2 || long() && i == rounds/4 {
			step("restart", func() error { return s.lb.Restart(ctx) })
		}
		<-tick.C
	}
	step("upgrade", func() error {
		text, err := s.lb.Upgrade(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		return nil
	})
	for _, said := range movedWord.FindAllString(s.lb.Output(), -1) {
		t.Log(said)
	}
	slices.Sort(took)
	t.Logf("%d changes of the worker; the old one was gone %v later in the middle, %v at most", len(took),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if took[len(took)-1] > time.Duration(sized(30, 3))*time.Second { // the machine of an ordinary run may be busy
		t.Errorf("an old worker stayed for %v", took[len(took)-1])
	}

	again(idles, 1, &errs)
	streams(1)
	for i, o := range clients {
		if err := o.get(fmt.Sprintf("/r/openssl/%d.1", i)); err != nil {
			errs.add(fmt.Errorf("openssl: %w", err))
		}
	}
	curling.Wait()
	cancel()
	requests := 2*(len(idles)+len(h2)+len(clients)) + 2*curls
	for _, n := range slowDone() {
		requests += n
	}
	webs := websDone()
	errs.report(t, "clients")
	for i, h := range h2 {
		if n := h.dials.Load(); n != 1 {
			t.Errorf("client %d of HTTP/2 connected %d times", i, n)
		}
	}
	if t.Failed() {
		return
	}
	s.account(webs, s.logged("fe", requests+len(webs)))
	leave(idles)
	for _, h := range h2 {
		h.CloseIdleConnections()
	}
	for _, o := range clients {
		o.close()
	}
	s.until("the end of all connections", func() bool { return s.stat("fe", "FRONTEND", "scur") == 0 })
	t.Logf("%d idle connections, %d of HTTP/2, %d requests, %d WebSockets", len(idles), len(h2), requests, len(webs))
}
