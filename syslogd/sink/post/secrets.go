package post

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Secrets are the names of files with what must be neither in the configuration nor in the log. They are read for each request, so that a new
// token is used at once.
type Secrets struct {
	Bearer   string // file with a token
	User     string // for basic authentication
	Password string // file with the password
	Headers  map[string]string
}

// secrets are what was read.
type secrets struct {
	headers map[string]string
	values  []string // that no message may have
}

// mostSecret is how large a file with a secret may be.
const mostSecret = 64 << 10

func (f *Secrets) read() (s secrets, err error) {
	s.headers = make(map[string]string, len(f.Headers)+1)
	get := func(path string) (value string) {
		if err == nil {
			value, err = readSecret(path)
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

// readSecret reads the only line of a file.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostSecret))
	if err != nil {
		return "", err
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || bytes.ContainsAny(text, "\r\n\x00") {
		return "", fmt.Errorf("%s: want one line with a secret", path)
	}
	return string(text), nil
}

func (s secrets) set(h http.Header) {
	for name, value := range s.headers {
		h.Set(name, value)
	}
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
