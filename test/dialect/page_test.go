package dialect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// post sends a form to the statistics page and gives the status and where the client is sent.
func (s *subject) post(path, form string, headers ...string) string {
	c := s.dial(s.addr)
	defer c.Close()
	return c.do(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n%s\r\n%s",
		path, s.addr, len(form), strings.Join(append(headers, ""), "\r\n"), form))
}

// TestPageActions: what administrators post to the statistics page does what it does in HAProxy, and the page says what became of it.
func TestPageActions(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE")+`
frontend fe
  bind HTTP
  stats enable
  stats uri /stats
  stats scope b1
  stats admin if { src 127.0.0.0/8 } !{ hdr(guest) -m found }
  default_backend b1
backend b1
  server s1 S1 check inter 1h
  server s2 S2
backend b2
  server s1 S1
`, nil)
	state := regexp.MustCompile(`(?m)^\d+ (b\d) \d+ (s\d) \S+ (\d+) (\d+) `)
	drive := func(s *subject) (got []string) {
		for _, form := range []string{
			"s=s1&action=maint&b=b1", "s=s1&action=ready&b=b1", "s=s1&s=s2&action=drain&b=b1", "s=s1&s=s2&action=ready&b=b1", "s=s2&action=hdown&b=b1", "s=s2&action=hrunn&b=b1",
			"s=s1&action=hnolb&b=b1", "s=s1&action=hrunn&b=b1", "s=s1&action=dhlth&b=b1", "s=s1&action=ehlth&b=b1", "s=s1&action=shutdown&b=b1",
			"s=s1&action=nope&b=b1", "s=s1&b=b1", "action=maint&b=b1", "s=s1&action=maint", "s=s1&action=maint&b=nope", "s=%73%31&action=maint&b=%62%31", "s=s1&action=ready&b=b1",
		} {
			answer := s.post("/stats", form)
			got = append(got, form+" -> "+answer[:strings.IndexByte(answer+"\"", '"')]+strings.Join(regexp.MustCompile(`st=\w+`).FindAllString(answer, 1), ""))
			text, err := s.Command("show servers state")
			if err != nil {
				s.t.Fatal(err)
			}
			for _, m := range state.FindAllStringSubmatch(text, -1) {
				got = append(got, fmt.Sprintf("  %s/%s %s %s", m[1], m[2], m[3], m[4]))
			}
		}
		guest := s.post("/stats", "s=s1&action=maint&b=b1", "Guest: 1")
		return append(got, "guest -> "+strings.Join(regexp.MustCompile(`st=\w+`).FindAllString(guest, 1), ""))
	}
	same(t, "form", seen(theirs, drive), drive(ours))

	// A browser says which site's page a form was on. HAProxy takes it from anywhere.
	for header, want := range map[string]string{
		"Origin: http://evil.example": "CSRF", "Origin: null": "CSRF", "Sec-Fetch-Site: cross-site": "CSRF", "Sec-Fetch-Site: same-site": "CSRF",
		"Origin: http://" + ours.addr: "DONE", "Sec-Fetch-Site: same-origin": "DONE",
	} {
		if got := ours.post("/stats", "s=s1&action=drain&b=b1", header); !strings.Contains(got, "st="+want) {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
	}
	// Only what the page shows can be changed on it.
	if got := ours.post("/stats", "s=s1&action=maint&b=b2"); !strings.Contains(got, "st=ERRP") {
		t.Errorf("a backend that is out of scope: %s", got)
	}
	// A form of any size is answered, over a kept connection too.
	c := ours.dial(ours.addr)
	for _, n := range []int{100_000, 1 << 20} {
		form := "s=s1&action=ready&b=b1&x=" + strings.Repeat("x", n)
		got := c.do(fmt.Sprintf("POST /stats HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", ours.addr, len(form), form))
		if want := map[bool]string{true: "st=EXCD", false: "st=DONE"}[n > 256<<10]; !strings.Contains(got, want) {
			t.Errorf("a form of %d bytes: %s", n, got)
		}
	}
}
