package dialect

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"lbsyslogd/test/wait"
)

// column is a cell of `show stat`.
func (s *subject) column(row, name string) string {
	text, err := s.Command("show stat")
	if err != nil {
		s.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "# "))).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.Index(rows[0], name)
	for _, r := range rows {
		if r[0]+"/"+r[1] == row {
			return r[i]
		}
	}
	s.t.Fatalf("%s has no row %s", s.name, row)
	return ""
}

// twoStreams speaks HTTP/2: a request with a body and one without, a third that it resets, and then a frame that no client may send. It gives what was
// counted before and after that frame.
func (s *subject) twoStreams(look func() []string) (got []string) {
	c, err := net.Dial("tcp", s.fill("HTTP2"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	out := bytes.NewBufferString(http2.ClientPreface)
	fr := http2.NewFramer(out, c)
	fr.AllowIllegalWrites = true
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	ask := func(id uint32, method, path string, end bool) {
		buf.Reset()
		for _, f := range [][2]string{{":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "a"}} {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: buf.Bytes(), EndHeaders: true, EndStream: end})
	}
	send := func() {
		c.Write(out.Bytes())
		out.Reset()
	}
	fr.WriteSettings()
	ask(1, "POST", "/one", false)
	fr.WriteData(1, false, []byte("12345"))
	fr.WriteData(1, true, []byte("67890"))
	ask(3, "GET", "/two", true)
	ask(5, "POST", "/never", false)
	send()
	for ended := 0; ended < 2; { // both answers
		f, err := fr.ReadFrame()
		if err != nil {
			s.t.Fatalf("%s: %v", s.name, err)
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
			ended++
		}
	}
	wait.Until(s.t, "the third stream alone to be open", func() bool { return s.column("f/FRONTEND", "h2_backend_open_streams") == "1" })
	got = append(got, "open: "+s.column("f/FRONTEND", "h2_open_connections"))
	fr.WriteRSTStream(5, http2.ErrCodeCancel)
	send()
	wait.Until(s.t, "the reset", func() bool { return s.column("f/FRONTEND", "h2_backend_open_streams") == "0" })
	got = append(got, look()...)
	fr.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8)) // which belongs to no stream
	send()
	for {
		if _, err := fr.ReadFrame(); err != nil {
			break
		}
	}
	wait.Until(s.t, "the end", func() bool { return s.column("f/FRONTEND", "h2_open_connections") == "0" })
	return append(got, look()...)
}

// TestColumns: what connections of HTTP/1 and HTTP/2 count is what HAProxy's count.
func TestColumns(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE")+`
frontend f
  bind HTTP
  bind HTTP2 proto h2
  default_backend b
backend b
  http-reuse always
  server s1 S1
`, nil)
	// What is not compared: settings, of which HAProxy counts an acknowledgement twice, and bytes, in which the answers' fields are written as each likes.
	columns := []string{"h2_headers_rcvd", "h2_data_rcvd", "h2_rst_stream_rcvd", "h2_goaway_rcvd", "h2_detected_conn_protocol_errors", "h2_detected_strm_protocol_errors",
		"h2_rst_stream_resp", "h2_goaway_resp", "h2_total_connections", "h2_backend_total_streams", "h1_open_connections", "h1_open_streams", "h1_total_connections",
		"h1_total_streams", "h1_bytes_in", "h1_spliced_bytes_in", "req_tot"}
	drive := func(s *subject) (got []string) {
		look := func() (cells []string) {
			for _, row := range []string{"f/FRONTEND", "b/BACKEND"} {
				for _, name := range columns {
					if row == "b/BACKEND" && (name == "h1_bytes_in" || name == "h1_total_connections" || name == "h1_open_connections") {
						continue // of what the servers say, and how many connections that takes
					}
					cells = append(cells, fmt.Sprintf("%s %s: %s", row, name, s.column(row, name)))
				}
			}
			return append(cells, "s1 req_tot: "+s.column("b/s1", "req_tot"))
		}
		c := s.dial(s.addr)
		for range 3 {
			c.do(request("/"))
		}
		wait.Until(t, "the last exchange to have ended", func() bool { return s.column("f/FRONTEND", "h1_open_streams") == "0" })
		got = append(got, look()...)
		got = append(got, s.twoStreams(look)...)
		c.Close()
		wait.Until(t, "the client to be gone", func() bool { return s.column("f/FRONTEND", "h1_open_connections") == "0" })
		return got
	}
	same(t, "cell", seen(theirs, drive), drive(ours))
	for name, min := range map[string]string{"h2_settings_rcvd": "1", "h1_bytes_out": "100"} {
		if got := ours.column("f/FRONTEND", name); len(got) < len(min) {
			t.Errorf("%s is %s", name, got)
		}
	}
}
