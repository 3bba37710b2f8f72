package receive

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// stream runs a Stream whose messages all go to one keeper.
func stream(t *testing.T, s *Stream) (*Stream, *keeper) {
	t.Helper()
	k := new(keeper)
	s.Name, s.Size, s.Log = "tcp://test", 512, cmp.Or(s.Log, slog.New(slog.DiscardHandler))
	if s.NewHandler == nil {
		s.NewHandler = func() Handler { return k }
	}
	if s.Most == 0 {
		s.Most, s.MostEach = 10_000, 10_000
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, k
}

func (k *keeper) got() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.texts)
}

func TestStreamOfBothFramings(t *testing.T) {
	s, k := stream(t, new(Stream))
	c := dial(t, "tcp", s.Describe().Address)
	say(t, c, "<13>one\n7 <13>two8 <13>")
	wait.Until(t, "two messages", func() bool { return len(k.got()) == 2 })
	say(t, c, "four<13>without a newline")
	c.Close()
	wait.Until(t, "the rest", func() bool { return len(k.got()) == 4 })
	if got := strings.Join(k.got(), "|"); got != "<13>one|<13>two|<13>four|<13>without a newline" {
		t.Errorf("got %s", got)
	}
	wait.Until(t, "the end of the connection", func() bool { return s.Counts().Connections == 0 })
}

// TestABacklogOfAStreamIsOneBatch is TestABacklogIsOneBatch for a connection: what has piled up is more than its buffer holds.
func TestABacklogOfAStreamIsOneBatch(t *testing.T) {
	h := &batches{goOn: make(chan struct{})}
	s, _ := stream(t, &Stream{NewHandler: func() Handler { return h }})
	c := dial(t, "tcp", s.Describe().Address)
	line := "<13>" + strings.Repeat("x", 95) + "\n"
	const lines = 600
	say(t, c, strings.Repeat(line, lines))
	close(h.goOn)
	c.Close()
	wait.Until(t, "the end of the connection", func() bool { return s.Counts().Received == lines && s.Counts().Connections == 0 })
	if most := slices.Max(h.messages); most*len(line) <= 512+frameSlack {
		t.Errorf("the batches have %d messages; want one that is larger than a buffer", h.messages)
	}
}

func TestManyMessagesOverManyConnections(t *testing.T) {
	s, k := stream(t, new(Stream))
	const conns, each = 20, 500
	for i := range conns {
		c := dial(t, "tcp", s.Describe().Address)
		var text strings.Builder
		for j := range each {
			m := fmt.Sprintf("<13>%d of %d", j, i)
			if i%2 == 0 {
				fmt.Fprintf(&text, "%d %s", len(m), m)
			} else {
				text.WriteString(m + "\n")
			}
		}
		go func() {
			io.WriteString(c, text.String())
			c.Close()
		}()
	}
	wait.Until(t, "all messages", func() bool { return len(k.got()) == conns*each })
	got := k.got()
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != conns*each {
		t.Errorf("%d different messages", n)
	}
}

func TestIdleAndSlowClientsDoNotDelayOthers(t *testing.T) {
	s, k := stream(t, new(Stream))
	for range 500 {
		dial(t, "tcp", s.Describe().Address)
	}
	slow := dial(t, "tcp", s.Describe().Address)
	for _, c := range "<13>a slow one" {
		say(t, slow, string(c))
	}
	quick := dial(t, "tcp", s.Describe().Address)
	say(t, quick, "<13>quick\n")
	wait.Until(t, "the quick one", func() bool { return len(k.got()) == 1 })
	say(t, slow, "\n")
	wait.Until(t, "the slow one", func() bool { return len(k.got()) == 2 })
	if got := k.got(); got[0] != "<13>quick" || got[1] != "<13>a slow one" {
		t.Errorf("got %q", got)
	}
}

func TestSilentConnectionEnds(t *testing.T) {
	s, _ := stream(t, &Stream{Idle: 30 * time.Millisecond})
	c := dial(t, "tcp", s.Describe().Address)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v; want EOF", err)
	}
	if n := s.Counts(); n.ReceiveErrors != 0 {
		t.Errorf("%+v", n)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	var journal wait.Buffer
	s, k := stream(t, &Stream{Most: 3, MostEach: 2, Log: slog.New(slog.NewTextHandler(&journal, nil))})
	for range 2 {
		dial(t, "tcp", s.Describe().Address)
	}
	wait.Until(t, "two connections", func() bool { return s.Counts().Connections == 2 })
	third := dial(t, "tcp", s.Describe().Address)
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection from one address stays")
	}
	wait.Until(t, "the refusal to be counted", func() bool { return s.Counts().Refused == 1 })
	if len(k.got()) != 0 {
		t.Errorf("got %q", k.got())
	}
	wait.Until(t, "the journal to name the limit", func() bool { return strings.Contains(journal.String(), "127.0.0.1 has 2 connections already") })
	if said := journal.String(); !strings.Contains(said, "most_each") {
		t.Errorf("the journal says %s", said)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	k := new(keeper)
	var told wait.Buffer
	s := &Stream{
		Name: "tcp://test", Size: 512, Most: 10, MostEach: 10, Log: slog.New(slog.NewTextHandler(&told, nil)),
		Allowed: func(a netip.Addr) bool { return !a.IsLoopback() }, NewHandler: func() Handler { return k },
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	for range 200 {
		c := dial(t, "tcp", s.Describe().Address)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection stays")
		}
	}
	cancel()
	<-ended
	if n := s.Counts().Refused; n != 200 || len(k.got()) > 0 {
		t.Errorf("%d are refused, and %d messages came", n, len(k.got()))
	}
	// Whoever is not wanted must not fill the journal.
	if n := strings.Count(told.String(), "\n"); n == 0 || n > 5 {
		t.Errorf("the journal has %d lines", n)
	}
}

func TestWhatHasArrivedIsReadAtTheEnd(t *testing.T) {
	k := new(keeper)
	s := &Stream{
		Name: "tcp://test", Size: 512, Most: 10, MostEach: 10, Log: slog.New(slog.DiscardHandler),
		NewHandler: func() Handler { return k },
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	c := dial(t, "tcp", s.Describe().Address)
	wait.Until(t, "the connection", func() bool { return s.Counts().Connections == 1 })
	say(t, c, "<14>app: the first\x00")
	for i := range 999 {
		say(t, c, fmt.Sprintf("<13>%d\n", i))
	}
	cancel()
	<-ended
	if n := len(k.got()); n != 1000 {
		t.Errorf("%d messages of 1000", n)
	}
}

// authority signs certificates for the names of its tests.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	change func(*x509.Certificate) // of those that are signed from now on; nil: nothing
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", nil)
	return a
}

// sign writes NAME.pem with certificate and key.
func (a *authority) sign(name string, parent *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if a.change != nil {
		a.change(template)
	}
	signer, signKey := template, key
	if parent != nil {
		signer, signKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signKey)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name+".pem") }

// dial connects as the given client and sends a message; what the server thinks of it shows when reading.
func (a *authority) dial(address, client string) error {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	config := &tls.Config{RootCAs: pool, ServerName: "server"}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(a.path(client), a.path(client))
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "%d <13>from %s", len("<13>from ")+len(client), client); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		return err
	}
	return nil
}

func TestTLSWithClientCertificates(t *testing.T) {
	a := newAuthority(t)
	for _, name := range []string{"server", "web1", "stranger"} {
		a.sign(name, a)
	}
	certs := &Certs{Cert: a.path("server"), Key: a.path("server"), ClientCA: a.path("ca"), Names: []string{"web*"}}
	config, err := certs.Config()
	if err != nil {
		t.Fatal(err)
	}
	s, k := stream(t, &Stream{TLS: config})
	// One that never finishes its handshake does not keep the others waiting.
	silent := dial(t, "tcp", s.Describe().Address)
	say(t, silent, "\x16\x03\x01")
	if err := a.dial(s.Describe().Address, "web1"); err != nil {
		t.Errorf("web1: %v", err)
	}
	for _, client := range []string{"", "stranger"} {
		if err := a.dial(s.Describe().Address, client); err == nil {
			t.Errorf("client %q may send", client)
		}
	}
	wait.Until(t, "the message", func() bool { return len(k.got()) == 1 })
	if got := k.got(); got[0] != "<13>from web1" {
		t.Errorf("got %q", got)
	}
	if c := dial(t, "tcp", s.Describe().Address); c != nil {
		say(t, c, "<13>in the clear\n")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}
	if got := k.got(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// TestHandshakesThatFail has each client that cannot get through named with its address and the reason: the first at once in the journal, the last in
// status, all in a number.
func TestHandshakesThatFail(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	for _, name := range []string{"server", "stranger"} {
		a.sign(name, a)
	}
	other.sign("fw-1", other)
	a.change = func(c *x509.Certificate) { c.DNSNames = nil }
	a.sign("fw-2", a)
	a.change = func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotBefore.Add(-time.Hour), c.NotBefore }
	a.sign("fw-3", a)
	expired, err := (&Certs{Cert: a.path("fw-3"), Key: a.path("fw-3")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server"), ClientCA: a.path("ca"), Names: []string{"fw-*"}}).Config()
	if err != nil {
		t.Fatal(err)
	}
	hello := func(config *tls.Config, pem string) func(address string) {
		return func(address string) {
			config.InsecureSkipVerify = true
			if pem != "" {
				pair, err := tls.LoadX509KeyPair(pem, pem)
				if err != nil {
					t.Fatal(err)
				}
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // whatever is asked for
			}
			if c, err := tls.Dial("tcp", address, config); err == nil {
				c.Read(make([]byte, 1)) // what the server thinks of a certificate
				c.Close()
			}
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	const refused = "\x15\x03\x03\x00\x02\x02" // an alert in the clear, as OpenSSL sends them before it has begun to encrypt
	for _, row := range []struct {
		client func(address string)
		reason string
	}{
		{func(address string) { refusing(address, pool) }, "bad certificate (the certificate of this syslogd expired at "},
		{func(address string) { inTheClear(t, address, refused+"\x30") }, "it ended the handshake: tls: unknown certificate authority"},
		{hello(&tls.Config{}, a.path("fw-2")), `no subject alternative name, and its common name "fw-2" does not count (client_names)`},
		{hello(&tls.Config{}, a.path("fw-3")), "expired"},
		{hello(&tls.Config{}, other.path("fw-1")), "unknown authority"},
		{hello(&tls.Config{}, a.path("stranger")), `none of the names in the client's certificate may send (client_names): ["stranger"]`},
		{hello(&tls.Config{}, ""), "didn't provide a certificate"},
		{hello(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ""), "unsupported versions"},
		{func(address string) { say(t, dial(t, "tcp", address), "<13>in the clear\n") }, "does not look like a TLS handshake"},
		{func(address string) { dial(t, "tcp", address).Close() }, "it ended the connection in the handshake"},
	} {
		var journal wait.Buffer
		settings := config
		if strings.Contains(row.reason, "of this syslogd") {
			settings = expired
		}
		s, k := stream(t, &Stream{TLS: settings, Log: slog.New(slog.NewTextHandler(&journal, nil))})
		const clients = 5
		for i := range clients {
			row.client(s.Describe().Address)
			wait.Until(t, "the handshake to fail", func() bool { return s.Counts().HandshakesFailed == uint64(i+1) })
		}
		wait.Until(t, "the journal to report it", func() bool { return strings.Contains(journal.String(), "127.0.0.1") })
		want := strings.ReplaceAll(row.reason, `"`, `\"`)
		if n, said := s.Counts(), journal.String(); !strings.HasPrefix(n.LastHandshake, "127.0.0.1: ") || !strings.Contains(n.LastHandshake, row.reason) ||
			!strings.Contains(said, want) || strings.Count(said, "\n") != 1 || len(k.got()) > 0 {
			t.Errorf("%s: %+v, and the journal has %s", row.reason, n, said)
		}
	}
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	a := newAuthority(t)
	first, _ := a.sign("server", a)
	certs := &Certs{Cert: a.path("server"), Key: a.path("server")}
	if _, err := certs.Config(); err != nil {
		t.Fatal(err)
	}
	serial := func() *big.Int {
		certs.mu.Lock()
		certs.looked = time.Time{}
		certs.mu.Unlock()
		config, err := certs.Current()
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber
	}
	if serial().Cmp(first.SerialNumber) != 0 {
		t.Error("another certificate than was written")
	}
	if err := os.WriteFile(a.path("server"), []byte("half of a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial().Cmp(first.SerialNumber) != 0 {
		t.Error("a broken file replaced a good certificate")
	}
	week := time.Now().Add(-7 * 24 * time.Hour)
	for _, at := range []time.Time{time.Now().Add(time.Minute), week, week} { // later, earlier, the same
		second, _ := a.sign("server", a)
		if err := os.Chtimes(a.path("server"), at, at); err != nil {
			t.Fatal(err)
		}
		if serial().Cmp(second.SerialNumber) != 0 {
			t.Errorf("the new certificate, of %v, is not used", at)
		}
	}
	if _, err := (&Certs{Cert: "/nowhere", Key: "/nowhere"}).Config(); err == nil {
		t.Error("a file that is not there is a certificate")
	}
}

// TestPythonsMessages are ended with a NUL, and are there while the connection is open; so are those next to a wrong octet count.
func TestPythonsMessages(t *testing.T) {
	s, k := stream(t, new(Stream))
	c := dial(t, "tcp", s.Describe().Address)
	say(t, c, "<14>app: the first\x00")
	for i := range 999 {
		say(t, c, fmt.Sprintf("<14>app: number %d\nand another line\x00", i))
	}
	wait.Until(t, "all messages", func() bool { return len(k.got()) == 1000 })
	d := dial(t, "tcp", s.Describe().Address)
	say(t, d, "35 <14>Nov 21 03:04:05 h-a app: WRONG"+strings.Repeat("32 <14>Nov 21 03:04:05 h-a app: n 0", 100))
	wait.Until(t, "those with counts", func() bool { return len(k.got()) == 1101 })
	if n := s.Counts(); n.OutOfStep != 1 || n.ReceiveErrors != 0 {
		t.Errorf("%+v", n)
	}
}

// refusing does a handshake with a server whose certificate is not good enough.
func refusing(address string, pool *x509.CertPool) {
	if c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "fw-3"}); err == nil {
		c.Close()
	}
}

// inTheClear begins a handshake of TLS 1.3, and sends a text in the place of its end.
func inTheClear(t *testing.T, address, text string) {
	t.Helper()
	raw := dial(t, "tcp", address)
	cut := &halfway{Conn: raw, text: text}
	tls.Client(cut, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}).Handshake()
	raw.Close()
}

// halfway is a connection on which all that is written after the first time is replaced by a text.
type halfway struct {
	net.Conn
	text string
	said int
}

func (c *halfway) Write(b []byte) (int, error) {
	if c.said++; c.said == 1 {
		return c.Conn.Write(b)
	}
	if c.said == 2 {
		if _, err := io.WriteString(c.Conn, c.text); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
