package post

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"lbsyslogd/syslogd/sink"
)

// judge makes an Answer of a response.
func (s *Sink) judge(response *http.Response, body []byte, records []sink.Record) sink.Answer {
	code := response.StatusCode
	if a, decided := s.Encoding.Read(code, body, records); decided {
		return a
	}
	a := sink.Answer{Err: fmt.Errorf("%s%s%s", response.Status, elsewhere(response), excerpt(body))}
	switch {
	case code >= 200 && code < 300:
		return sink.Answer{Verdict: sink.Taken}
	case code == http.StatusRequestEntityTooLarge:
		a.Verdict = sink.Smaller
	case code == http.StatusBadRequest || code == http.StatusUnprocessableEntity:
		a.Verdict = sink.Refused
	case code == http.StatusInternalServerError:
		a.Verdict = sink.Faulty
	default: // 429, 502, 503 and 504 pass by themselves; 401, 403, 404 and redirects when somebody has corrected what is wrong
		a.Verdict = sink.Later
	}
	if a.Verdict == sink.Later || a.Verdict == sink.Faulty {
		a.After = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return a
}

// elsewhere says where a redirect leads, which is not followed: secrets would go along.
func elsewhere(response *http.Response) string {
	to, err := response.Location()
	if err != nil || response.StatusCode < 300 || response.StatusCode > 399 {
		return ""
	}
	return fmt.Sprintf(" to %s, which is not followed; is that the address to send to?", place(to))
}

// longestRetry is more than anybody waits; a number may be larger than time.Duration can have.
const longestRetry = 1 << 20

// retryAfter reads a number of seconds or a time; 0 when it is neither.
func retryAfter(text string, now time.Time) time.Duration {
	n, err := strconv.Atoi(text)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then n is the nearest that there is
		return time.Duration(min(max(n, 0), longestRetry)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// excerpt is ": " and the beginning of an answer, as one printable line; empty when there is none.
func excerpt(body []byte) string {
	const most = 200
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(body[:min(len(body), most)]))
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return ""
	}
	return ": " + text
}
