package dialect

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/accept"
)

// TestEnds: the termination state says who ended an exchange that rules, the statistics or a monitor answered, and where.
func TestEnds(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST %ts %tsc %b/%s")+`
  timeout tarpit 50ms
  errorfile 503 DIR/503
frontend fe
  bind HTTP
  monitor-uri /monitor
  http-request return status 200 if { path /q-return }
  http-request return status 200 content-type text/plain lf-string "%[str(x)]" if { path /q-return-lf }
  http-request redirect location /there if { path /q-redirect }
  http-request deny if { path /q-deny }
  http-request deny deny_status 200 if { path /q-deny-200 }
  http-request tarpit if { path /q-tarpit }
  http-request silent-drop if { path /q-drop }
  http-request reject if { path /q-reject }
  http-request auth if { path /q-auth }
  http-request set-var(txn.path) path
  http-request set-path /headers if { path_beg /r- /a- /f- }
  redirect location /old if { path /q-old }
  http-response return status 200 if { var(txn.path) -m str /f-return }
  http-response redirect location /f if { var(txn.path) -m str /f-redirect }
  http-response deny if { var(txn.path) -m str /f-deny }
  use_backend stat if { path_beg /stat }
  use_backend none if { path_beg /none }
  use_backend down if { path_beg /down }
  default_backend be
backend be
  http-request return status 201 if { path /b-return }
  http-request redirect location /there if { path /b-redirect }
  http-request deny if { path /b-deny }
  http-request tarpit if { path /b-tarpit }
  http-request silent-drop if { path /b-drop }
  http-request reject if { path /b-reject }
  tcp-response content reject if { var(txn.path) -m str /r-content-reject }
  tcp-response content silent-drop if { var(txn.path) -m str /r-content-drop }
  http-response return status 200 if { var(txn.path) -m str /r-return }
  http-response return status 418 lf-string "%[str(x)]" content-type text/plain if { var(txn.path) -m str /r-return-lf }
  http-response redirect location /there if { var(txn.path) -m str /r-redirect }
  http-response redirect location /there code 303 drop-query if { var(txn.path) -m str /r-redirect-303 }
  http-response deny if { var(txn.path) -m str /r-deny }
  http-response deny deny_status 200 if { var(txn.path) -m str /r-deny-200 }
  http-response silent-drop if { var(txn.path) -m str /r-drop }
  http-response allow if { var(txn.path) -m str /r-allow }
  http-after-response set-status 299 if { var(txn.path) -m str /a-status }
  server s1 S1
backend stat
  stats enable
  stats uri /stats
  stats admin if { path_beg /stats/admin }
backend none
backend down
  retries 0
  server down DOWN
`, map[string]string{"503": "HTTP/1.0 503 Gone\r\n\r\nfile"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{
			"/q-return", "/q-return-lf", "/q-redirect", "/q-deny", "/q-deny-200", "/q-tarpit", "/q-drop", "/q-reject", "/q-auth", "/q-old",
			"/b-return", "/b-redirect", "/b-deny", "/b-tarpit", "/b-drop", "/b-reject",
			"/r-content-reject", "/r-content-drop", "/r-return", "/r-return-lf", "/r-redirect", "/r-redirect-303", "/r-deny", "/r-deny-200", "/r-drop", "/r-allow",
			"/f-return", "/f-redirect", "/f-deny", "/a-status",
			"/stats;csv", "/none", "/down",
		} {
			if strings.HasSuffix(path, "-drop") { // the client hears nothing
				io.WriteString(s.dial(s.addr), request(path))
				continue
			}
			answer := s.get(path)
			if path == "/stats;csv" {
				answer = answer[:3]
			}
			got = append(got, path+": "+answer)
		}
		return append(got, s.get("/monitor"))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)+3), ours.lines(len(got)+3)) // four were dropped, and a monitor's request is not logged

	counts := func(text string) (out []string) {
		rows := strings.Split(strings.TrimPrefix(strings.TrimSpace(text), "# "), "\n")
		names := strings.Split(rows[0], ",")
		for _, row := range rows[1:] {
			fields := strings.Split(row, ",")
			line := strings.Join(fields[:2], " ")
			for i, name := range names {
				if slices.Contains([]string{"dreq", "dresp", "ereq", "eresp", "intercepted"}, name) {
					line += " " + name + "=" + fields[i]
				}
			}
			out = append(out, line)
		}
		return out
	}
	same(t, "counts", counts(theirs.command("show stat")), counts(ours.command("show stat")))
}

// TestLeavingWhileConnecting: clients that end or reset their connections while a server is connected to. What is not aborted ends with timeout connect.
func TestLeavingWhileConnecting(t *testing.T) {
	const half = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf "
	theirs, ours := both(t, preface("", "LINE %b/%s %ts %rc")+strings.ReplaceAll(`
  retries 0
listen kept
  bind HTTP
  timeout connect 300ms
  server s FULL
listen part
  bind HTTP2
  server s FULL
listen tcp
  mode tcp
  bind HTTP3
  server s FULL
listen tcp-kept
  mode tcp
  bind HTTP4
  timeout connect 300ms
  server s FULL
listen abort
  option abortonclose
  bind HTTP5
  server s FULL
listen tcp-abort
  mode tcp
  option abortonclose
  bind HTTP6
  server s FULL
`, "FULL", accept.Never(t, host)), nil)
	drive := func(s *subject) (got []string) {
		asked := map[string]int{}
		for _, c := range []struct{ proxy, at, text, deed string }{
			{"kept", "HTTP", request("/"), "end"}, {"kept", "HTTP", request("/"), "reset"},
			{"part", "HTTP2", half, "reset"},
			{"tcp", "HTTP3", "x", "reset"}, {"tcp-kept", "HTTP4", "x", "end"},
			{"abort", "HTTP5", request("/"), "end"}, {"abort", "HTTP5", request("/"), "reset"}, {"abort", "HTTP5", half, "end"}, {"abort", "HTTP5", half, "reset"},
			{"tcp-abort", "HTTP6", "x", "end"}, {"tcp-abort", "HTTP6", "x", "reset"},
		} {
			client := s.dial(s.fill(c.at))
			io.WriteString(client, c.text)
			asked[c.proxy]++
			s.until(c.proxy+"/BACKEND", fmt.Sprintf("stot=%d", asked[c.proxy]), "stot")
			switch raw := client.Conn.(*net.TCPConn); c.deed {
			case "end":
				raw.CloseWrite()
			case "reset":
				raw.SetLinger(0)
				raw.Close()
			}
			line := s.readLines(1)[0]
			if c.proxy == "tcp-abort" && c.deed == "reset" { // HAProxy says CC where it learns of the end before the error
				line = strings.Replace(line, " CC ", " CD ", 1)
			}
			got = append(got, c.deed+": "+line)
			s.until(c.proxy+"/s", "scur=0", "scur")
		}
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}
