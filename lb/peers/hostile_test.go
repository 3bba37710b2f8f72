package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/stick"
	"lbsyslogd/test/wait"
)

// deaf is a connection of which only what was read of it before is used.
type deaf struct{ net.Conn }

func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }
func (deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (deaf) Close() error                     { return nil }

// reads has a session of a section with tables read what a peer sends, and returns why it ended.
func reads(b []byte, specs ...stick.Spec) (tables []*stick.Table, s *session, why error) {
	section := &Section{Name: "p", Self: "a"}
	section.complete = true
	section.ctx, section.cancel = context.WithCancel(context.Background())
	defer section.cancel()
	p := &Peer{Name: "b", section: section, changed: make(chan struct{})}
	section.Peers = []*Peer{p}
	for i, spec := range specs {
		t := stick.New(spec)
		tables = append(tables, t)
		section.Tables = append(section.Tables, Table{spec.Name, t})
		p.tables = append(p.tables, &place{Table: section.Tables[i], id: uint64(i) + 1, columns: columns(t), node: slices.Index(t.Nodes, "b")})
	}
	s = newSession(p, deaf{}, bufio.NewReaderSize(bytes.NewReader(b), readBuffer), 1)
	p.session = s
	return tables, s, s.read()
}

// smallSpecs are tables of each kind, with room for little.
func smallSpecs() (list []stick.Spec) {
	for _, kind := range stick.Types() {
		s := spec(kind.String(), kind, everything...)
		s.Size, s.Stores[stick.ConnCur] = 10, true
		list = append(list, s)
	}
	cluster := spec("cluster", stick.String, stick.ConnCur, stick.GPC0, stick.HTTPReqRate)
	cluster.Size, cluster.Nodes = 10, []string{"x", "b"}
	list = append(list, cluster)
	arrays := spec("arrays", stick.String, stick.ConnCnt)
	arrays.Size, arrays.Arrays = 10, stick.Arrays{GPT: true, GPC: true, GPCRate: true}
	for i := range int64(3) {
		for _, at := range []func(int64) (stick.Data, bool){stick.GPC, stick.GPCRate, stick.GPT} {
			d, _ := at(i)
			arrays.Stores[d], arrays.Period[d] = true, 60_000
		}
	}
	return append(list, arrays)
}

// everythingSent is what a node sends that has n entries in each table.
func everythingSent(n int, specs []stick.Spec) []byte {
	_, s, _ := reads(nil, specs...)
	now := stick.Now()
	for _, l := range s.lanes {
		t := l.Table.Table
		for i := range n {
			key := t.KeyBytes(nil, fmt.Appendf(nil, "%016d", i))
			if size := t.Type.KeyLen(); size > 0 {
				key = fmt.Appendf(nil, "%016d", i)[16-size:]
			}
			for d := range stick.NumData {
				if t.Stores[d] && !d.IsServer() {
					t.SetKey(key, d, uint64(i)<<(i%40), true, now)
				}
			}
			if t.Stores[stick.ServerKey] {
				t.Stick(key, fmt.Sprintf("server-%d", i), i, now)
			}
		}
		l.feed = t.Follow(0, s.wake)
	}
	s.appendNode()
	s.shares.adds, s.shares.sendAll, s.shares.giveBack = true, true, true
	b := bytes.Clone(s.buf)
	for more := true; more; {
		s.buf = s.buf[:0]
		more = s.push(s.adds())
		b = append(b, s.buf...)
	}
	s.todo.sendAll, s.todo.teaching = true, true
	for more := true; more; {
		s.buf = s.buf[:0]
		more = s.fill()
		b = append(b, s.buf...)
	}
	b = appendMessage(b, kindShareAsk, []byte{askRestore})
	return append(b, classControl, kindConfirm, classControl, kindHeartbeat, classControl, kindRequest)
}

// TestHostilePeer: what cannot be read ends the connection with a reason, and nothing grows beyond its size.
func TestHostilePeer(t *testing.T) {
	specs := smallSpecs()
	definition := func(change func(d []byte) []byte) []byte {
		s := stick.New(specs[stick.String])
		return appendMessage(nil, kindDefine, change(appendDefinition(nil, 1, "string", s, columns(s))))
	}
	same := func(d []byte) []byte { return d }
	message := func(kind byte, body ...byte) []byte { return appendMessage(definition(same), kind, body) }
	row := func(name string, b []byte, want string) {
		t.Helper()
		tables, _, err := reads(b, specs...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		for _, table := range tables {
			if n := table.Used(stick.Now()); n > table.Size {
				t.Errorf("%s: table %s has %d entries", name, table.Name, n)
			}
		}
	}
	const ends, eof = "unexpected EOF", "EOF"
	row("nothing", nil, eof)
	row("half a head", []byte{10}, ends)
	row("text", []byte("GET / HTTP/1.1\r\n\r\n"), "there is no class 71")
	row("reserved", []byte{255, 0}, "there is no class 255")
	row("its error", []byte{classError, kindProtocol}, "the peer cannot read what it was sent")
	row("its limit", []byte{classError, kindTooLong}, "it is too long")
	row("a control that nobody knows", []byte{classControl, 77}, eof)
	row("a message that nobody knows", message(200, 1, 2, 3), eof)
	row("an endless length", append([]byte{classTable, kindUpdate}, bytes.Repeat([]byte{0xff}, 50)...), "more than 32 bits")
	row("a long length", append([]byte{classTable, kindUpdate}, appendNumber(nil, 1<<31)...), "16384 are the most")
	row("a length and no more", append([]byte{classTable, kindUpdate}, appendNumber(nil, maxMessage)...), ends)
	row("updates without a table", appendMessage(nil, kindUpdate, []byte{1, 2, 3}), eof)
	row("an empty definition", appendMessage(nil, kindDefine, nil), "the definition of a table ends early")
	row("a name that is longer than the message", appendMessage(nil, kindDefine, appendNumber([]byte{1}, 1<<60)), "ends early")
	for cut := range definition(same) {
		if cut > 20 {
			row(fmt.Sprint("a definition of ", cut), definition(func(d []byte) []byte { return d[:min(cut, len(d)-1)] }), "")
		}
	}
	row("an array without an end", appendMessage(nil, kindDefine, appendNumber(appendNumber(appendNumber(appendNumber(append([]byte{1, 6}, "arrays"...), 6), 21), 1<<arrayGPC), 1)), "ends early")
	huge := appendNumber(appendNumber(appendNumber(appendNumber(append([]byte{1, 6}, "arrays"...), 6), 21), 1<<arrayGPC), 1)
	row("a huge array", appendMessage(nil, kindDefine, appendNumber(append(huge, arrayGPC), 1<<40)), "an array of 1099511627776 elements")
	row("an update without its number", message(kindUpdate, 1, 2), "an update of table string ends early")
	row("a key that is longer than the message", message(kindNext, appendNumber(nil, 1<<62)...), "ends early")
	row("a key and no more", message(kindNext, 1, 'k'), "ends early")
	row("a switch to nothing", message(kindSwitch), "ends early")
	row("an acknowledgement of nothing", message(kindAck, 1), "ends early")
	row("acknowledgements of what was not sent", slices.Concat(message(kindAck, 1, 255, 255, 255, 255), message(kindAck, 99, 0, 0, 0, 9)), eof)
	all := everythingSent(60, specs)
	summed := stick.New(specs[len(stick.Types())])
	shares := appendMessage(nil, kindNode, []byte{1, 1, 2, 3, 4, 5, 6, 7, 8})
	shares = appendMessage(shares, kindDefine, appendDefinition(nil, 1, "cluster", summed, columns(summed)))
	row("a share that is cut", appendMessage(shares, kindShare, []byte{1, 200}), "a share of table")
	row("a share of the other that is cut", appendMessage(shares, kindShareBack, []byte{1, 1, 'k', 1}), "a share of table")
	row("an end of nothing", appendMessage(shares, kindShareEnd, nil), eof)
	row("a node of another version", appendMessage(nil, kindNode, []byte{9, 1, 2, 3, 4, 5, 6, 7, 8}), eof)
	row("half a node", appendMessage(nil, kindNode, []byte{1, 2, 3}), "ends early")
	row("more than there is room for", all, eof)
	for i := range 200 { // one byte in each place of the beginning is another one
		b := bytes.Clone(all[:2000])
		b[i*7] ^= byte(1 << (i % 8))
		row("a byte", b, "")
	}
}

// TestManyServers: the names that peers send are bounded, and the entries are learned without them.
func TestManyServers(t *testing.T) {
	s := spec("t", stick.Integer, stick.ServerID, stick.ServerKey)
	table := stick.New(s)
	l := stick.Lesson{Remaining: -1, Values: []stick.Value{{Data: stick.ServerID, N: 7}, {Data: stick.ServerKey}}}
	for i := range 40_000 {
		l.Key, l.Server = binary.BigEndian.AppendUint32(nil, uint32(i)), fmt.Appendf(nil, "server%d", i)
		if !table.Learn(&l, stick.Now()) {
			t.Fatal(i)
		}
	}
	if name, id, ok := table.Server(binary.BigEndian.AppendUint32(nil, 5), stick.Now()); name != "server5" || id != 7 || !ok {
		t.Error(name, id, ok)
	}
	if name, id, ok := table.Server(binary.BigEndian.AppendUint32(nil, 39_999), stick.Now()); name != "" || id != 7 || !ok {
		t.Error(name, id, ok)
	}
}

// TestStrangers: whoever does not say who it is gets its number and is gone; those who say nothing take no place for long.
func TestStrangers(t *testing.T) {
	a := newNode(t, "a", spec("t", stick.Integer, stick.GPC0))
	a.knows("b", "127.0.0.1:9") // nobody
	a.Begin(nil)
	row := func(hello, want string) {
		t.Helper()
		c, err := net.Dial("tcp", a.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, hello)
		c.SetDeadline(time.Now().Add(20 * time.Second))
		b, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") || string(b) != want {
			t.Errorf("%.30q is answered with %q, want %q (%v)", hello, b, want, err)
		}
	}
	row("GET / HTTP/1.1\r\n", "501\n")
	row("HAProxyS 3.1\n", "502\n")
	row("HAProxyS 2.2\n", "502\n")
	row("HAProxyS 2.x\n", "502\n")
	row("HAProxyS 2.1\nb\n", "503\n")
	row("HAProxyS 2.1\na\nb\n", "501\n")
	row("HAProxyS 2.1\na\nc 1 1\n", "504\n")
	row(strings.Repeat("x", 3000), "")
	var silent []net.Conn
	for range 10 {
		c, err := net.Dial("tcp", a.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	for _, c := range silent {
		c.Close()
	}
	row("HAProxyS 2.1\na\nc 1 1\n", "504\n")
	if n := a.tables[0].Used(stick.Now()); n != 0 {
		t.Errorf("%d entries came from strangers", n)
	}
}

// TestGarbageIsToldOnce: a peer that sends garbage is told so, reported with the reason, and not let in again at once.
func TestGarbageIsToldOnce(t *testing.T) {
	a := newNode(t, "a", spec("t", stick.Integer, stick.GPC0))
	a.knows("b", "127.0.0.1:9")                                         // nobody
	a.Peers[0].next, a.Peers[0].failures = time.Now().Add(time.Hour), 4 // whoever is being dialled is not let in; after the garbage it is long until that
	a.Begin(nil)
	enter := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", a.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "HAProxyS 2.1\na\nb 1 1\n")
		return c
	}
	c := enter()
	io.WriteString(c, "\x0a\x80\x01\x01\x47\x47")
	b, _ := io.ReadAll(c)
	if !bytes.HasPrefix(b, []byte("200\n")) || !bytes.HasSuffix(b, []byte{classError, kindProtocol}) {
		t.Errorf("it is answered with %q", b)
	}
	wait.Until(t, "a report", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return slices.ContainsFunc(a.said, func(text string) bool {
			return strings.Contains(text, "peer b is no longer connected: a message cannot be read: there is no class 71")
		})
	})
	if b, _ := io.ReadAll(enter()); string(b) != "300\n" {
		t.Errorf("it is let in again: %q", b)
	}
	if n := a.Peers[0].refused.Load(); n != 1 {
		t.Errorf("%d are counted", n)
	}
}

func FuzzPeer(f *testing.F) {
	specs := smallSpecs()
	all := everythingSent(3, specs)
	f.Add(all)
	f.Add(all[:len(all)/2])
	f.Add([]byte{classTable, kindUpdate, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{classControl, kindRequest, classControl, kindFinished, classControl, kindConfirm, classControl, kindPartial})
	f.Fuzz(func(t *testing.T, b []byte) {
		tables, _, err := reads(b, specs...)
		if err == nil {
			t.Error("it is read without an end")
		}
		now := stick.Now()
		for _, table := range tables {
			if n := table.Used(now); n > table.Size {
				t.Errorf("%d entries in %d places", n, table.Size)
			}
			for _, key := range table.Keys(nil, now) {
				if table.Type != stick.String && len(key) != table.Len || len(key) > table.Len {
					t.Errorf("a key of %d bytes", len(key))
				}
				table.AppendEntry(nil, key, nil, now)
			}
		}
	})
}

// TestFirstChangeHasItsNumber: a connection that goes on after an acknowledged change says the number of the next one, which the other side would
// count from nothing.
func TestFirstChangeHasItsNumber(t *testing.T) {
	tables, s, _ := reads(nil, spec("t", stick.Integer, stick.GPC0))
	for i := range uint32(4) {
		tables[0].SetKey(binary.BigEndian.AppendUint32(nil, i), stick.GPC0, 1, true, stick.Now())
	}
	l := s.lanes[0]
	l.pushed, l.feed = 1, tables[0].Follow(1, s.wake)
	s.push(s.adds())
	var kinds []byte
	for c := (cursor{rest: s.buf}); len(c.rest) > 0; {
		kinds = append(kinds, c.bytes(2)[1])
		c.bytes(c.number())
	}
	if want := []byte{kindDefine, kindUpdate, kindNext, kindNext}; !bytes.Equal(kinds, want) {
		t.Errorf("the messages are %v, want %v", kinds, want)
	}
}

// slow is a connection on which nothing comes for a while, and then its end.
type slow struct {
	deaf
	waits int
}

func (c *slow) Read([]byte) (int, error) {
	if c.waits--; c.waits < 0 {
		return 0, io.EOF
	}
	return 0, os.ErrDeadlineExceeded
}

// TestSilence: a peer that says nothing is gone, unless it takes much meanwhile.
func TestSilence(t *testing.T) {
	for _, wrote := range []time.Time{{}, time.Now()} {
		_, s, _ := reads(nil, spec("t", stick.Integer, stick.GPC0))
		c := &slow{waits: 3}
		s.conn, s.r = c, bufio.NewReader(c)
		want := errSilent
		if !wrote.IsZero() {
			s.wrote.Store(wrote.UnixNano())
			want = io.EOF
		}
		if err := s.read(); !errors.Is(err, want) {
			t.Errorf("it ends with %v, want %v", err, want)
		}
	}
}
