package post

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/syslogd/clienttls"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/syslogd/sink/encode"
)

// Compression is of the bodies of requests.
type Compression string

// The compressions; the zero value is None.
const (
	None Compression = ""
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// Sink is a sink.Peer. Set the exported fields before the first Deliver.
type Sink struct {
	URLs     []*url.URL // of receivers, the preferred one first; http, https, or either with "+srv" for a name of DNS SRV records
	Encoding encode.Encoding
	Compress Compression
	Timeout  time.Duration // for a request, from the connection to the last byte of the answer; 0: 30 s
	TLS      clienttls.Files
	Secrets  Secrets
	Headers  map[string]string

	targets   targets
	transport *http.Transport // no http.Client: there are no redirects to follow, which would take the secrets along
	body      []byte
	packed    []byte
	gzip      *gzip.Writer
	zstd      *zstd.Encoder
	answer    bytes.Buffer
}

const (
	defaultTimeout = 30 * time.Second
	idleTime       = time.Minute
	// mostAnswer bounds what is read of an answer: one for each record may be long.
	mostAnswer = 32 << 20
)

// Deliver implements sink.Peer.
func (s *Sink) Deliver(ctx context.Context, records []sink.Record) sink.Answer {
	if s.transport == nil {
		s.transport = s.newTransport()
	}
	s.body = s.Encoding.Append(s.body[:0], records)
	body, err := s.pack(s.body)
	if err != nil {
		return sink.Answer{Err: err}
	}
	secrets, err := s.Secrets.read()
	if err != nil {
		return sink.Answer{Err: err}
	}
	targets, err := s.targets.list(ctx, s.URLs, s.Encoding.Path())
	if err != nil {
		return sink.Answer{Err: err}
	}
	var problems []error
	var after time.Duration // until the first of them wants to be asked again
	verdict := sink.Later   // Faulty if one of them has ended the connection
	for i, t := range targets {
		s.targets.ask(t)
		a, decided := s.post(ctx, t, body, secrets, records)
		if decided {
			s.targets.answered(t, a.Verdict != sink.Faulty && (a.Verdict != sink.Later || a.After > 0))
			return a
		}
		problems = append(problems, a.Err)
		verdict = max(verdict, a.Verdict)
		if i == 0 || a.After < after {
			after = a.After
		}
	}
	s.targets.forget()
	return sink.Answer{Verdict: verdict, Err: errors.Join(problems...), After: after}
}

// Check says what is wrong now with the files that are read for each request or connection.
func (s *Sink) Check() error {
	_, err := s.Secrets.read()
	_, tlsErr := s.TLS.Config("")
	return errors.Join(err, tlsErr)
}

// Close implements sink.Peer.
func (s *Sink) Close() error {
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	if s.zstd != nil {
		return s.zstd.Close()
	}
	return nil
}

// post sends body to one receiver. decided is false when another one is to be asked at once, because this one has not answered, or works for nobody.
func (s *Sink) post(ctx context.Context, t *url.URL, body []byte, secrets secrets, records []sink.Record) (a sink.Answer, decided bool) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
	defer cancel()
	defer func() {
		if a.Err != nil { // the receiver may have repeated what it was sent, in its status, too
			a.Err = fmt.Errorf("%s: %w", place(t), secrets.with(t.RawQuery).hide(a.Err))
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.String(), nil)
	if err != nil {
		return sink.Answer{Err: err}, false
	}
	p := &payload{body: body}
	r.Body, r.ContentLength = p.reader(), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return p.reader(), nil }
	defer func() {
		if cancel(); !p.wait() {
			s.body, s.packed = nil, nil // somebody may read them still
		}
	}()
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", s.Encoding.ContentType())
	r.Header.Set("User-Agent", "syslogd")
	if s.Compress != None {
		r.Header.Set("Content-Encoding", string(s.Compress))
	}
	secrets.set(r.Header)
	response, err := s.transport.RoundTrip(r)
	if err != nil {
		a.Err = err
		if cancel(); sink.HungUp(err) && p.wait() && p.begun() { // not when it was for TLS
			a.Verdict = sink.Faulty
		}
		return a, false
	}
	defer response.Body.Close()
	// Of a refusal the status says enough, should the rest not come: some receivers end the connection without having read the request.
	if err := s.readAnswer(response); err != nil && response.StatusCode < 300 {
		// Half an answer is none: what it would have said of the records is not known.
		return sink.Answer{Err: fmt.Errorf("the answer %s breaks off: %w", response.Status, err)}, true
	}
	if response.Body.Close(); p.wait() && !p.whole() && response.StatusCode < 300 {
		return sink.Answer{Err: fmt.Errorf("the answer %s came before everything was sent", response.Status)}, true
	}
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		decided = false
	default:
		decided = true
	}
	return s.judge(response, s.answer.Bytes(), records), decided
}

// readAnswer reads the body of an answer. Nobody has asked for a compressed one; a proxy may do it all the same.
func (s *Sink) readAnswer(response *http.Response) error {
	s.answer.Reset()
	body := io.Reader(response.Body)
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(body)
		if err == io.EOF {
			return nil // no body
		}
		if err != nil {
			return err
		}
		body = unpacked
	}
	n, err := s.answer.ReadFrom(io.LimitReader(body, mostAnswer+1))
	if err == nil && n > mostAnswer {
		err = fmt.Errorf("it is longer than %d bytes", mostAnswer)
	}
	return err
}

// place is a URL as messages have it: a query may hold keys.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// pack compresses a body.
func (s *Sink) pack(body []byte) ([]byte, error) {
	switch s.Compress {
	case Gzip:
		out := bytes.NewBuffer(s.packed[:0])
		if s.gzip == nil {
			w, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
			if err != nil {
				return nil, err
			}
			s.gzip = w
		}
		s.gzip.Reset(out)
		if _, err := s.gzip.Write(body); err != nil {
			return nil, err
		}
		if err := s.gzip.Close(); err != nil {
			return nil, err
		}
		s.packed = out.Bytes()
		return s.packed, nil
	case Zstd:
		if s.zstd == nil {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
			if err != nil {
				return nil, err
			}
			s.zstd = w
		}
		s.packed = s.zstd.EncodeAll(body, s.packed[:0])
		return s.packed, nil
	}
	return body, nil
}
