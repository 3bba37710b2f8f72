package relp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// all parses frames that come in pieces of so many bytes, as a connection does: what Next does not use comes again in front of the next piece.
func all(t *testing.T, p *Parser, stream string, piece int) (frames []string, err error) {
	t.Helper()
	var rest []byte
	for len(stream) > 0 {
		n := min(piece, len(stream))
		rest = append(rest, stream[:n]...)
		stream = stream[n:]
		for {
			f, n, whole, err := p.Next(rest)
			if err != nil {
				return frames, err
			}
			if whole {
				frames = append(frames, fmt.Sprintf("%d %s %d %s", f.Number, f.Command, f.Size, f.Data))
			}
			rest = rest[n:]
			if n == 0 || len(rest) == 0 {
				break
			}
		}
	}
	return frames, nil
}

func TestFramesInPiecesOfAnySize(t *testing.T) {
	stream := "1 open 5 a=b\nc\n2 syslog 3 abc\n3 syslog 12 123456789012\n4 close 0\n0 serverclose 0 \n999999999 rsp 6 200 OK\n"
	want := "1 open 5 a=b\nc|2 syslog 3 abc|3 syslog 12 12345678|4 close 0 |0 serverclose 0 |999999999 rsp 6 200 OK"
	for piece := 1; piece <= len(stream); piece++ {
		got, err := all(t, &Parser{Keep: 8, Most: 100}, stream, piece)
		if err != nil || strings.Join(got, "|") != want {
			t.Fatalf("in pieces of %d: %q, %v", piece, got, err)
		}
	}
}

func TestWrongFramesAreErrorsAtOnce(t *testing.T) {
	for _, stream := range []string{
		"GET / HTTP/1.1", "<13>a message", " 1 syslog 1 x\n", "-1 syslog 1 x\n", "1  syslog 1 x\n", "1 sys1og 1 x\n", "1 syslog  1 x\n", "1 syslog x",
		"1234567890 syslog 1 x\n", "1 syslog 1234567890", "1 syslog -1 x\n", "1 syslog 101 x", "1 syslog 999999999 x", "1 syslog 1x\n", "1 syslog 1\n",
		"1 syslog 1 xy", "1 syslog 0 x", "1 syslog 20 12345678901234567890x", "1\n", "1 \n", "1 " + strings.Repeat("a", 33), "\x16\x03\x01\x02",
	} {
		for _, piece := range []int{1, len(stream)} {
			if got, err := all(t, &Parser{Keep: 8, Most: 100}, stream, piece); err == nil || len(got) > 0 {
				t.Errorf("%q in pieces of %d: %q, %v", stream, piece, got, err)
			}
		}
	}
}

func TestResponses(t *testing.T) {
	p := Parser{Keep: 1000, Most: 1000}
	for _, c := range []struct {
		frame []byte
		want  string
	}{
		{AppendOK(nil, 7), `7 rsp 200 "OK" ""`},
		{AppendResponse(nil, 8, Failed, "no", nil), `8 rsp 500 "no" ""`},
		{AppendResponse(nil, 1, OK, "OK", Offers{1, []string{"syslog"}, "x,1"}.Append(nil)), `1 rsp 200 "OK" "relp_version=1\nrelp_software=x,1\ncommands=syslog"`},
		{AppendFrame(nil, 9, "rsp", []byte("200")), `9 rsp 200 "" ""`},
	} {
		f, n, whole, err := p.Next(c.frame)
		if err != nil || !whole || n != len(c.frame) {
			t.Fatalf("%q: %v", c.frame, err)
		}
		code, reason, data, err := ParseResponse(f.Data)
		if got := fmt.Sprintf("%d %s %d %q %q", f.Number, f.Command, code, reason, data); err != nil || got != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
	for _, text := range []string{"", "2", "20", "2000", "200OK", "abc", " 200", "\n200 OK"} {
		if code, _, _, err := ParseResponse([]byte(text)); err == nil {
			t.Errorf("%q is code %d", text, code)
		}
	}
}

func TestOffers(t *testing.T) {
	// What librelp sends.
	o, err := ParseOffers([]byte("relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog,eventlog"))
	if err != nil || o.Version != 0 || !o.Has("syslog") || !o.Has("eventlog") || o.Has("sys") || !strings.HasPrefix(o.Software, "librelp,") {
		t.Errorf("%+v, %v", o, err)
	}
	for _, text := range []string{"", "commands=syslog", "relp_version=x", "relp_version", "relp_version=-1", "relp_version=99999999999999999999"} {
		if o, err := ParseOffers([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, o)
		}
	}
}

func TestNumbersGoAround(t *testing.T) {
	if NextNumber(1) != 2 || NextNumber(LastNumber) != 1 {
		t.Error(NextNumber(1), NextNumber(LastNumber))
	}
}

func TestParserDoesNotAllocate(t *testing.T) {
	stream := AppendFrame(nil, 7, "syslog", bytes.Repeat([]byte("x"), 200))
	p := Parser{Keep: 8 << 10, Most: 256 << 10}
	out := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		f, _, whole, err := p.Next(stream)
		if err != nil || !whole || !f.Is("syslog") {
			t.Fatal(err)
		}
		out = AppendOK(out[:0], f.Number)
	}); n > 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}

// FuzzParser holds that frames are the same in whatever pieces they come, that each is found again from what AppendFrame makes of it, and that a
// Parser keeps and uses no more than it may.
func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"1 open 85 relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog\n2 syslog 5 <13>x\n3 close 0\n",
		"1 rsp 6 200 OK\n0 serverclose 0\n", "999999999 syslog 1 x\n1 syslog 1 y\n", "1 syslog 999999999 x", "000000001 syslog 001 x\n", "1 syslog 40 " + strings.Repeat("y", 40) + "\n",
		"1 syslog 0\n", "1 syslog 0 \n", "1", "", "\n", "1 syslog 3 \n\n\n\n",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		if piece <= 0 || piece > 1<<20 {
			piece = 1
		}
		const keep, most = 16, 64
		whole, wholeErr := all(t, &Parser{Keep: keep, Most: most}, string(stream), max(len(stream), 1))
		pieces, piecesErr := all(t, &Parser{Keep: keep, Most: most}, string(stream), piece)
		if (wholeErr == nil) != (piecesErr == nil) || strings.Join(whole, "\x00") != strings.Join(pieces, "\x00") {
			t.Fatalf("%q, %v; in pieces of %d: %q, %v", whole, wholeErr, piece, pieces, piecesErr)
		}
		p := Parser{Keep: keep, Most: most}
		for rest := stream; len(rest) > 0; {
			frame, n, ok, err := p.Next(rest)
			if n < 0 || n > len(rest) || len(frame.Data) > keep || frame.Size > most || len(frame.Command) > maxCommand {
				t.Fatalf("%+v, %d of %d bytes", frame, n, len(rest))
			}
			if err != nil || n == 0 {
				break
			}
			rest = rest[n:]
			if !ok || frame.Cut() {
				continue
			}
			q := Parser{Keep: keep, Most: most}
			again, _, ok, err := q.Next(AppendFrame(nil, frame.Number, string(frame.Command), frame.Data))
			if err != nil || !ok || again.Number != frame.Number || !bytes.Equal(again.Command, frame.Command) || !bytes.Equal(again.Data, frame.Data) {
				t.Fatalf("%+v is read again as %+v, %v", frame, again, err)
			}
			_, _, _, _ = ParseResponse(frame.Data)
			if o, err := ParseOffers(frame.Data); err == nil {
				if same, err := ParseOffers(o.Append(nil)); err != nil || same.Version != o.Version {
					t.Fatalf("%+v is read again as %+v, %v", o, same, err)
				}
			}
		}
	})
}
