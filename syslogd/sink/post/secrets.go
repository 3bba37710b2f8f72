package post

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lbsyslogd/syslogd/secretfile"
)

// Secrets are the names of files with what must be neither in the configuration nor in the log. They are read for each request, so that a new
// token is used at once.
type Secrets struct {
	Bearer   string // file with a token
	User     string // for basic authentication
	Password string // file with the password
	Headers  map[string]string
}

// shortestKey is how long a value in a query is at least to be taken for a key. Shorter ones are numbers and names such as "host".
const shortestKey = 6

// secrets are what was read.
type secrets struct {
	headers map[string]string
	values  []string // that no message may have
}

func (f *Secrets) read() (s secrets, err error) {
	s.headers = make(map[string]string, len(f.Headers)+1)
	get := func(path string) (value string) {
		if err == nil {
			value, err = secretfile.Read(path)
			s.values = append(s.values, value)
		}
		return value
	}
	if f.Bearer != "" {
		s.headers["Authorization"] = "Bearer " + get(f.Bearer)
	}
	if f.Password != "" {
		pair := base64.StdEncoding.EncodeToString([]byte(f.User + ":" + get(f.Password)))
		s.headers["Authorization"] = "Basic " + pair
		s.values = append(s.values, pair)
	}
	for name, path := range f.Headers {
		s.headers[name] = get(path)
	}
	return s, err
}

func (s secrets) set(h http.Header) {
	for name, value := range s.headers {
		h.Set(name, value)
	}
}

// with is s and what a query has, which may be a key, as it is written and as it is meant.
func (s secrets) with(query string) secrets {
	s.values = slices.Clone(s.values)
	for pair := range strings.SplitSeq(query, "&") {
		if _, v, _ := strings.Cut(pair, "="); len(v) >= shortestKey {
			meant, _ := url.QueryUnescape(v) // what is no escape is as it is written
			s.values = append(s.values, v, meant)
		}
	}
	return s
}

// hide is err without the secrets, which a receiver may have repeated.
func (s secrets) hide(err error) error {
	text := err.Error()
	for _, v := range s.values {
		if v != "" {
			text = strings.ReplaceAll(text, v, "(secret)")
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
