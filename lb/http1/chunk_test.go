package http1

import (
	"strings"
	"testing"
)

const plainChunks = "5\r\nhello\r\n0\r\n\r\n"

func TestChunksAccepted(t *testing.T) {
	for _, c := range []struct{ name, in, data string }{
		{"one chunk", plainChunks, "hello"},
		{"nothing", "0\r\n\r\n", ""},
		{"many zeros", "000\r\n\r\n", ""},
		{"leading zeros", "0000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
		{"hexadecimal", "a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n", "012345678901234567890"},
		{"extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"},
		{"blanks and extension", "5 \t ; a = \"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"},
		{"blanks after the size", "5  \r\nhello\r\n0 \r\n\r\n", "hello"},
		{"high bytes in an extension", "5;\xe4\r\nhello\r\n0\r\n\r\n", "hello"},
		{"trailers", "0\r\nA: b\r\nC:\r\nD: e\tf \r\n\r\n", ""},
		{"trailers next to reserved names", "0\r\nContent-Lengt: 1\r\nContent-Lengthy: 1\r\nHos: t\r\nHosts: t\r\nX-Host: t\r\nConnections: 1\r\n\r\n", ""},
		{"data like framing", "d\r\n\r\n0\r\n\r\n0\r\n\r\nX\r\n0\r\n\r\n", "\r\n0\r\n\r\n0\r\n\r\nX"},
	} {
		checkChunks(t, c.name, c.in, c.data)
	}
}

// checkChunks follows in, with another request after it, cut at every point,
// by Next and by Pass.
func checkChunks(t *testing.T, name, in, data string) {
	t.Helper()
	whole := []byte(in + "GET / HTTP/1.1\r\n\r\n")
	for cut := range len(in) + 1 {
		var c, p Chunks
		var got []byte
		used := 0
		for _, part := range [][]byte{whole[:cut], whole[cut:]} {
			n, err := p.Pass(part)
			if err != nil {
				t.Errorf("%s, cut at %d: Pass: %v", name, cut, err)
				return
			}
			used += n
			for len(part) > 0 && !c.Done() {
				n, isData, err := c.Next(part)
				if err != nil || n == 0 {
					t.Errorf("%s, cut at %d: Next: %d, %v", name, cut, n, err)
					return
				}
				if isData {
					got = append(got, part[:n]...)
				}
				part = part[n:]
			}
		}
		if string(got) != data || !c.Done() || !p.Done() || used != len(in) {
			t.Errorf("%s, cut at %d: data %q, %d bytes of %d, done %v %v", name, cut, got, used, len(in), c.Done(), p.Done())
		}
		if n, isData, err := c.Next(whole); n != 0 || isData || err != nil {
			t.Errorf("%s: Next after the end: %d, %v, %v", name, n, isData, err)
		}
	}
}

func TestChunksRefused(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     *Error
	}{
		{"no size", "\r\n", errChunkSize},
		{"extension without a size", ";a\r\n", errChunkSize},
		{"blank before the size", " 5\r\nhello\r\n", errChunkSize},
		{"0x", "0x5\r\nhello\r\n", errChunkSize},
		{"plus", "+5\r\nhello\r\n", errChunkSize},
		{"minus", "-5\r\nhello\r\n", errChunkSize},
		{"not hexadecimal", "5g\r\n", errChunkSize},
		{"underscore", "1_0\r\n", errChunkSize},
		{"a word after the size", "5 abc\r\nhello\r\n", errChunkSize},
		{"another size after it", "5 5\r\nhello\r\n", errChunkSize},
		{"comma after the size", "5,\r\nhello\r\n", errChunkSize},
		{"quote after the size", "5\"\r\nhello\r\n", errChunkSize},
		{"NUL after the size", "5\x00\r\nhello\r\n", errChunkSize},
		{"vertical tab after the size", "5\v\r\nhello\r\n", errChunkSize},
		{"high byte after the size", "5\xa0\r\nhello\r\n", errChunkSize},
		{"LF after the size", "5\nhello\r\n", errChunkSize},
		{"CR after the size", "5\rhello\r\n", errChunkSize},
		{"two CR after the size", "5\r\r\nhello\r\n", errChunkSize},
		{"above 2^60", "1000000000000000\r\n", errChunkSize},
		{"wraps to 5", "10000000000000005\r\nhello\r\n", errChunkSize},
		{"wraps to 0", "100000000000000000000\r\n\r\n", errChunkSize},
		{"too many zeros", strings.Repeat("0", maxChunkDigits+1) + "\r\n\r\n", errChunkSize},
		{"LF in an extension", "5;a\nhello\r\n", errChunkExt},
		{"LF in a quoted extension", "5;a=\"\nhello\r\n", errChunkExt},
		{"CR in an extension", "5;a\rb\r\nhello\r\n", errChunkSize},
		{"control in an extension", "5;a\x01\r\nhello\r\n", errChunkExt},
		{"long extension", "5;" + strings.Repeat("a", maxChunkExt+1), errChunkExt},
		{"long blank", "5" + strings.Repeat(" ", maxChunkExt+2), errChunkExt},
		{"data longer than its size", "5\r\nhello!\r\n", errChunkEnd},
		{"data shorter than its size", "5\r\nhell\r\n0\r\n\r\n", errChunkEnd},
		{"LF after data", "5\r\nhello\n0\r\n\r\n", errChunkEnd},
		{"CR after data", "5\r\nhello\r0\r\n\r\n", errChunkEnd},
		{"nothing after data", "5\r\nhello0\r\n\r\n", errChunkEnd},
		{"two bytes that are not CR LF", "5\r\nhelloXX0\r\n\r\n", errChunkEnd},
		{"LF for the last line", "0\r\n\n", errTrailer},
		{"CR for the last line", "0\r\n\rX", errTrailer},
		{"a request for a trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", errTrailer},
		{"trailer without a name", "0\r\n: a\r\n\r\n", errTrailer},
		{"space before a trailer", "0\r\n A: b\r\n\r\n", errTrailer},
		{"space before the colon", "0\r\nA : b\r\n\r\n", errTrailer},
		{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", errTrailer},
		{"LF after a trailer", "0\r\nA: b\n\r\n", errTrailer},
		{"CR in a trailer", "0\r\nA: b\rC: d\r\n\r\n", errTrailer},
		{"NUL in a trailer", "0\r\nA: b\x00\r\n\r\n", errTrailer},
		{"long trailers", "0\r\n" + strings.Repeat("A: b\r\n", maxTrailer/6+1), errTrailer},
		{"length in the trailers", "0\r\ncontent-LENGTH: 5\r\n\r\n", errTrailerName},
		{"coding in the trailers", "0\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n", errTrailerName},
		{"host in the trailers", "0\r\nHost: b\r\n\r\n", errTrailerName},
		{"connection in the trailers", "0\r\nHosts: a\r\nConnection: close\r\n\r\n", errTrailerName},
	} {
		for _, step := range []int{len(c.in), 1} { // as a whole, byte by byte
			var p Chunks
			var err error
			for i := 0; i < len(c.in) && err == nil && !p.Done(); i += step {
				_, err = p.Pass([]byte(c.in[i:min(i+step, len(c.in))]))
			}
			if err != error(c.want) {
				t.Errorf("%s, %d bytes at a time: %v, want %v", c.name, step, err, c.want)
			}
		}
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	in := []byte("5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var c Chunks
		if _, err := c.Pass(in); err != nil || !c.Done() {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
