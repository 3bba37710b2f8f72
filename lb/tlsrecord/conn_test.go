package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

func name(version, id uint16) string {
	return strings.ReplaceAll(tls.VersionName(version), " ", "") + "/" + tls.CipherSuiteName(id)
}

// TestWithCryptoTLS moves bytes both ways at once between this package and
// crypto/tls, with every suite, as client and as server; the record layer moves
// to another process all the time.
func TestWithCryptoTLS(t *testing.T) {
	for _, s := range suites {
		for _, client := range []bool{false, true} {
			for _, moves := range []int{0, 3} {
				role := "server"
				if client {
					role = "client"
				}
				t.Run(fmt.Sprintf("%s/%s/moves=%d", name(s.version, s.id), role, moves), func(t *testing.T) {
					server, peer := configs(s.version, s.id)
					ours, theirs := both(t, server, peer, client)
					if s.version == tls.VersionTLS13 && ours.Suite() != s.id {
						// crypto/tls chooses: the secrets are made up for this suite.
						ours, theirs := agree(t, &s)
						ours.moves, theirs.moves = moves, moves
						flow(t, ours, theirs, 500_000)
						return
					}
					ours.moves = moves
					flow(t, ours, theirs, 500_000)
				})
			}
		}
	}
}

// agree is two ends of this package with secrets that were made up.
func agree(t *testing.T, s *suite) (client, server *stream) {
	a, b := pair(t)
	size := s.hash().Size()
	if s.version == tls.VersionTLS12 {
		size = s.key + s.iv
	}
	up, down := bytes.Repeat([]byte{1}, size), bytes.Repeat([]byte{2}, size)
	cc, err := newConn(s, true, down, up, 7, 9)
	if err != nil {
		t.Fatal(err)
	}
	sc, err := newConn(s, false, up, down, 9, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &stream{Conn: cc, net: a, size: 1000}, &stream{Conn: sc, net: b, size: MaxPlaintext}
}

// TestHandshakes: kinds of handshakes after which the record layer must find
// its secrets and numbers.
func TestHandshakes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, client := range []bool{false, true} {
			for kind, change := range map[string]func(server, client *tls.Config){
				"plain":      func(_, _ *tls.Config) {},
				"no tickets": func(server, _ *tls.Config) { server.SessionTicketsDisabled = true },
				"client certificate": func(server, client *tls.Config) {
					server.ClientAuth = tls.RequireAnyClientCert
					client.Certificates = server.Certificates
				},
				"other group": func(server, client *tls.Config) { // HelloRetryRequest in TLS 1.3
					server.CurvePreferences = []tls.CurveID{tls.CurveP384}
					client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
				},
				"alpn": func(server, client *tls.Config) {
					server.NextProtos, client.NextProtos = []string{"h2"}, []string{"h2"}
				},
			} {
				t.Run(fmt.Sprintf("%s/client=%v/%s", tls.VersionName(version), client, kind), func(t *testing.T) {
					server, peer := configs(version, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
					change(server, peer)
					ours, theirs := both(t, server, peer, client)
					flow(t, ours, theirs, 100_000)
				})
			}
		}
	}
}

// TestResumption: of sessions that are resumed, too, and the tickets of TLS 1.3
// that a client gets after the handshake do no harm.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			server, client := configs(version, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)
			server.SetSessionTicketKeys([][32]byte{{1}})
			client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			for i := range 3 { // crypto/tls is the client
				ours, theirs := both(t, server, client, false)
				flow(t, ours, theirs, 10_000)
				if theirs.ConnectionState().DidResume != (i > 0) {
					t.Errorf("handshake %d was resumed: %v", i, i == 0)
				}
			}
			ours, theirs := both(t, server, client, true) // and this package is
			if !ours.state.DidResume {
				t.Error("our client resumed nothing")
			}
			flow(t, ours, theirs, 10_000)
		})
	}
}

// TestCBC: what is not done is left to crypto/tls.
func TestCBC(t *testing.T) {
	server, client := configs(tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)
	a, b := pair(t)
	var wg sync.WaitGroup
	wg.Go(func() { tls.Client(b, client).Handshake() })
	if _, err := shake(a, server, false); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	wg.Wait()
}

// TestKeyLimit: after so many records of AES-GCM the next key is taken, and
// crypto/tls follows.
func TestKeyLimit(t *testing.T) {
	server, client := configs(tls.VersionTLS13, 0)
	ours, theirs := both(t, server, client, false)
	ours.limit, ours.size, ours.moves = 3, 100, 2
	flow(t, ours, theirs, 20_000)
	if ours.out.seq > 4 {
		t.Errorf("the number of the next record is %d", ours.out.seq)
	}
}

// TestKeyUpdate: an update that asks for ours is answered before the next data,
// and both ends change in either direction.
func TestKeyUpdate(t *testing.T) {
	a, b := agree(t, &suites[0])
	before := a.in.secret
	if _, err := a.net.Write(a.appendUpdate(nil, 1)); err != nil {
		t.Fatal(err)
	}
	a.Write([]byte("ping"))
	buf := make([]byte, 4)
	if _, err := io.ReadFull(b, buf); err != nil || string(buf) != "ping" {
		t.Fatal(string(buf), err)
	}
	if !b.owes {
		t.Error("no update is owed")
	}
	b.moves = 1 // what is owed goes along
	b.Write([]byte("pong"))
	if _, err := io.ReadFull(a, buf); err != nil || string(buf) != "pong" {
		t.Fatal(string(buf), err)
	}
	if b.owes || a.in.secret == before {
		t.Error("the key is the old one")
	}
	flow(t, a, b, 10_000)
}

// TestRest: keys that were given up are the same when they are needed again, whatever the suite, and those of a connection that was
// forgotten are gone.
func TestRest(t *testing.T) {
	for i := range suites {
		t.Run(name(suites[i].version, suites[i].id), func(t *testing.T) {
			a, b := agree(t, &suites[i])
			if !a.Resting() {
				t.Error("a connection without a record has keys")
			}
			for range 3 {
				for _, way := range [...][2]*stream{{a, b}, {b, a}} {
					way[0].Write([]byte("ping"))
					buf := make([]byte, 4)
					if _, err := io.ReadFull(way[1], buf); err != nil || string(buf) != "ping" {
						t.Fatal(string(buf), err)
					}
				}
				if a.Resting() || b.Resting() {
					t.Error("no key is there after records")
				}
				a.Rest()
				if !a.Resting() || b.Resting() {
					t.Error("one end rests, and the other does not")
				}
			}
			record := b.Seal(nil, []byte("late"), MaxPlaintext)
			a.Forget()
			if data, err := a.Open(nil, record); err == nil {
				t.Errorf("%q was read without a key", data)
			}
		})
	}
}

// sealed is a record of any content, as the peer of c would send it.
func sealed(c *Conn, kind ContentType, content []byte) []byte {
	peer := Conn{suite: c.suite}
	peer.out = c.in
	peer.out.aead = nil // its own
	return peer.append(nil, kind, content)
}

// raw13 is a record of TLS 1.3 whose inner plaintext is content.
func raw13(c *Conn, content []byte) []byte {
	peer := half{}
	if peer.set(c.suite, c.in.secret[:c.in.size], c.in.seq) != nil || peer.wake(c.suite) != nil {
		panic("a secret that was taken before")
	}
	n := len(content) + tagSize
	head := []byte{byte(ApplicationData), 3, 3, byte(n >> 8), byte(n)}
	return peer.aead.Seal(bytes.Clone(head), peer.implicit(), content, head)
}

// TestRefused: what the book forbids, and the alert that it wants.
func TestRefused(t *testing.T) {
	update := []byte{keyUpdate, 0, 0, 1, 0}
	const v13, v12 = tls.VersionTLS13, tls.VersionTLS12
	for _, tt := range []struct {
		name    string
		version uint16
		record  func(*Conn) []byte
		want    Alert
	}{
		{"not encrypted", v13, func(*Conn) []byte { return []byte{22, 3, 3, 0, 1, 0} }, UnexpectedMessage},
		{"a late change_cipher_spec", v13, func(*Conn) []byte { return []byte{20, 3, 3, 0, 1, 1} }, UnexpectedMessage},
		{"too large", v13, func(*Conn) []byte { return append([]byte{23, 3, 3, 0x41, 1}, make([]byte, 0x4101)...) }, RecordOverflow},
		{"too large", v12, func(*Conn) []byte { return append([]byte{23, 3, 3, 0x48, 1}, make([]byte, 0x4801)...) }, RecordOverflow},
		{"another version", v12, func(*Conn) []byte { return []byte{23, 3, 1, 0, 1, 0} }, ProtocolVersion},
		{"an unknown type", v12, func(*Conn) []byte { return []byte{24, 3, 3, 0, 1, 0} }, UnexpectedMessage},
		{"too short", v13, func(*Conn) []byte { return []byte{23, 3, 3, 0, 1, 0} }, BadRecordMAC},
		{"empty", v12, func(*Conn) []byte { return []byte{23, 3, 3, 0, 0} }, BadRecordMAC},
		{"another key", v13, func(*Conn) []byte { return append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...) }, BadRecordMAC},
		{"another key", v12, func(*Conn) []byte { return append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...) }, BadRecordMAC},
		{"a type that was changed", v12, func(c *Conn) []byte { b := sealed(c, ApplicationData, []byte("x")); b[0] = 21; return b }, BadRecordMAC},
		{"too much content", v13, func(c *Conn) []byte { return sealed(c, ApplicationData, make([]byte, MaxPlaintext+1)) }, RecordOverflow},
		{"too much content", v12, func(c *Conn) []byte { return sealed(c, ApplicationData, make([]byte, MaxPlaintext+1)) }, RecordOverflow},
		{"too much padding", v13, func(c *Conn) []byte { return raw13(c, append([]byte{1, 23}, make([]byte, MaxPlaintext)...)) }, RecordOverflow},
		{"no type", v13, func(c *Conn) []byte { return raw13(c, make([]byte, 10)) }, UnexpectedMessage},
		{"an inner change_cipher_spec", v13, func(c *Conn) []byte { return sealed(c, ChangeCipherSpec, []byte{1}) }, UnexpectedMessage},
		{"a change_cipher_spec", v12, func(c *Conn) []byte { return sealed(c, ChangeCipherSpec, []byte{1}) }, UnexpectedMessage},
		{"a heartbeat", v13, func(c *Conn) []byte { return sealed(c, 24, []byte{1}) }, UnexpectedMessage},
		{"renegotiation", v12, func(c *Conn) []byte { return sealed(c, Handshake, []byte{1, 0, 0, 0}) }, NoRenegotiation},
		{"a hello", v13, func(c *Conn) []byte { return sealed(c, Handshake, []byte{1, 0, 0, 0}) }, UnexpectedMessage},
		{"a ticket from a client", v13, func(c *Conn) []byte { return sealed(c, Handshake, []byte{newSessionTicket, 0, 0, 0}) }, UnexpectedMessage},
		{"an empty message", v13, func(c *Conn) []byte { return sealed(c, Handshake, nil) }, UnexpectedMessage},
		{"an update of the wrong size", v13, func(c *Conn) []byte { return sealed(c, Handshake, []byte{keyUpdate, 0, 0, 2, 0, 0}) }, DecodeError},
		{"an unknown update", v13, func(c *Conn) []byte { return sealed(c, Handshake, []byte{keyUpdate, 0, 0, 1, 2}) }, IllegalParameter},
		{"something after an update", v13, func(c *Conn) []byte { return sealed(c, Handshake, append(update, update...)) }, UnexpectedMessage},
		{"a short alert", v13, func(c *Conn) []byte { return sealed(c, AlertRecord, []byte{2}) }, DecodeError},
		{"data in a message", v13, func(c *Conn) []byte {
			first := sealed(c, Handshake, update[:2])
			if data, err := c.Open(nil, first); data != nil || err != nil {
				panic(err)
			}
			return sealed(c, ApplicationData, []byte("x"))
		}, UnexpectedMessage},
		{"records without data, for ever", v13, func(c *Conn) []byte {
			for range maxUseless {
				if _, err := c.Open(nil, sealed(c, ApplicationData, nil)); err != nil {
					panic(err)
				}
			}
			return sealed(c, ApplicationData, nil)
		}, UnexpectedMessage},
	} {
		t.Run(tls.VersionName(tt.version)+"/"+tt.name, func(t *testing.T) {
			s := &suites[0]
			if tt.version == v12 {
				s = &suites[3]
			}
			_, c := agree(t, s)
			record := tt.record(c.Conn)
			n, err := c.Size(record)
			if err == nil {
				if n != len(record) {
					t.Fatalf("Size is %d, want %d", n, len(record))
				}
				_, err = c.Open(nil, record)
			}
			var e *Error
			if !errors.As(err, &e) || e.Remote || e.Alert != tt.want {
				t.Errorf("%v, want alert %d", err, tt.want)
			}
		})
	}
}

// TestAccepted: what is odd and allowed.
func TestAccepted(t *testing.T) {
	_, c := agree(t, &suites[0])
	for _, record := range []func() []byte{
		func() []byte { return sealed(c.Conn, AlertRecord, []byte{1, byte(UserCanceled)}) },
		func() []byte { return sealed(c.Conn, Handshake, []byte{keyUpdate, 0}) },
		func() []byte { return sealed(c.Conn, Handshake, []byte{0, 1, 0}) },
		func() []byte { return raw13(c.Conn, append([]byte{'a', 23}, make([]byte, MaxPlaintext-1)...)) },
		func() []byte { b := sealed(c.Conn, ApplicationData, []byte("b")); return b },
	} {
		b := record()
		if n, err := c.Size(b); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
		data, err := c.Open(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 && string(data) != "a" && string(data) != "b" {
			t.Errorf("%q", data)
		}
	}
	_, c = agree(t, &suites[3])
	if _, err := c.Open(nil, sealed(c.Conn, AlertRecord, []byte{alertWarning, 112})); err != nil {
		t.Error(err)
	}
	if _, err := c.Open(nil, sealed(c.Conn, AlertRecord, []byte{alertWarning, 0})); err != io.EOF {
		t.Error(err)
	}
	if _, err := c.Open(nil, sealed(c.Conn, ApplicationData, []byte("late"))); err != io.EOF {
		t.Error("something after close_notify:", err)
	}
}

// TestAlerts: the peer's alert is an error that is not answered.
func TestAlerts(t *testing.T) {
	for _, s := range []*suite{&suites[0], &suites[3]} {
		_, c := agree(t, s)
		_, err := c.Open(nil, sealed(c.Conn, AlertRecord, []byte{alertFatal, byte(InternalError)}))
		var e *Error
		if !errors.As(err, &e) || !e.Remote || e.Alert != InternalError {
			t.Error(err)
		}
	}
}

// TestSizes: Room and Fit are right to the byte for the suite that takes most,
// and never too small.
func TestSizes(t *testing.T) {
	for _, s := range suites {
		a, _ := agree(t, &s)
		for _, size := range []int{1, 100, 4096, MaxPlaintext} {
			for _, n := range []int{1, 99, 100, 101, 5000, 20000} {
				if n/size > 200 {
					continue
				}
				a.owes = s.version == tls.VersionTLS13
				b := a.Seal(nil, make([]byte, n), size)
				if room := Room(n, size); len(b) > room {
					t.Errorf("%s: %d bytes in records of %d take %d, Room says %d", name(s.version, s.id), n, size, len(b), room)
				}
				room := len(b)
				if fit := Fit(room, size); fit > 0 && Room(fit, size) > room {
					t.Errorf("Fit(%d, %d) is %d, whose Room is %d", room, size, fit, Room(fit, size))
				}
			}
		}
	}
}

// TestNothingIsAllocated: neither by Seal nor by Open.
func TestNothingIsAllocated(t *testing.T) {
	for _, s := range suites {
		a, b := agree(t, &s)
		data := make([]byte, 20_000)
		wire, plain := make([]byte, 0, 32<<10), make([]byte, MaxRecord)
		if n := testing.AllocsPerRun(100, func() {
			wire = a.Seal(wire[:0], data, MaxPlaintext)
			for rest := wire; len(rest) > 0; {
				n, err := b.Size(rest)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Open(plain, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name(s.version, s.id), n)
		}
	}
}

// FuzzOpen: whatever a peer sends that knows the key ends in data or an error,
// and the state can be taken along at any time.
func FuzzOpen(f *testing.F) {
	f.Add(uint8(0), []byte{22, 5, keyUpdate, 0, 0, 1, 1, 23, 2, 'h', 'i', 21, 2, 1, 0})
	f.Add(uint8(3), []byte{23, 2, 'h', 'i', 21, 2, 1, 0, 22, 4, 0, 0, 0, 0})
	f.Add(uint8(0x80), []byte{22, 6, newSessionTicket, 0, 0, 2, 1, 1})
	f.Add(uint8(2), []byte{22, 2, keyUpdate, 0, 22, 3, 0, 1, 0, 23, 1, 'x'})
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		s := &suites[int(which&0x7f)%len(suites)]
		size := s.hash().Size()
		if s.version == tls.VersionTLS12 {
			size = s.key + s.iv
		}
		secret := bytes.Repeat([]byte{5}, size)
		c, err := newConn(s, which&0x80 != 0, secret, secret, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for len(script) >= 2 {
			kind, n := script[0], min(int(script[1]), len(script)-2)
			content := script[2 : 2+n]
			script = script[2+n:]
			record := sealed(c, ContentType(kind), content)
			if n, err := c.Size(record); err != nil || n != len(record) {
				if s.version == tls.VersionTLS13 {
					t.Fatal(n, err)
				}
				return // an outer type that is none
			}
			data, err := c.Open(nil, record)
			if err != nil {
				if _, again := c.Open(nil, record); again != err {
					t.Fatal("an error, and then", again)
				}
				return
			}
			if kind == byte(ApplicationData) && !bytes.Equal(data, content) {
				t.Fatalf("%q is %q", content, data)
			}
			state := c.AppendState(nil)
			if c, err = Restore(state); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(c.AppendState(nil), state) {
				t.Fatal("a state is not the same after it was restored")
			}
			c.Seal(nil, []byte("answer"), 100)
		}
	})
}

// FuzzWire: bytes of anybody are refused.
func FuzzWire(f *testing.F) {
	f.Add([]byte{23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []*suite{&suites[0], &suites[3], &suites[9]} {
			size := s.hash().Size()
			if s.version == tls.VersionTLS12 {
				size = s.key + s.iv
			}
			c, err := newConn(s, false, make([]byte, size), make([]byte, size), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			n, err := c.Size(b)
			if err != nil || n == 0 || len(b) < n {
				continue
			}
			if n > MaxRecord {
				t.Fatal(n)
			}
			if data, err := c.Open(nil, bytes.Clone(b[:n])); err == nil {
				t.Fatalf("%q was taken", data)
			}
		}
	})
}

// FuzzRestore: a state that is not ours is refused, and one that is taken says
// the same again.
func FuzzRestore(f *testing.F) {
	for i := range suites {
		s := &suites[i]
		size := s.hash().Size()
		if s.version == tls.VersionTLS12 {
			size = s.key + s.iv
		}
		c, err := newConn(s, i%2 == 0, make([]byte, size), make([]byte, size), 1, 2)
		if err != nil {
			f.Fatal(err)
		}
		c.hand = []byte{4}
		f.Add(c.AppendState(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Restore(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.AppendState(nil), b) {
			t.Fatalf("%x became %x", b, c.AppendState(nil))
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, s := range suites[:5] {
		for _, n := range []int{200, MaxPlaintext} {
			b.Run(fmt.Sprintf("%s/%d", name(s.version, s.id), n), func(b *testing.B) {
				secret := make([]byte, s.hash().Size())
				if s.version == tls.VersionTLS12 {
					secret = secret[:s.key+s.iv]
				}
				c, err := newConn(&s, false, secret, secret, 0, 0)
				if err != nil {
					b.Fatal(err)
				}
				data, wire := make([]byte, n), make([]byte, 0, Room(n, n))
				b.SetBytes(int64(n))
				for b.Loop() {
					wire = c.Seal(wire[:0], data, n)
				}
			})
		}
	}
}
