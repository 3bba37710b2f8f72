package stats

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// What follows the page's address chooses the form, as in HAProxy's links.
func TestView(t *testing.T) {
	is := func(page, uri string, want view) {
		t.Helper()
		if got := (&Page{URI: page}).view(uri); got != want {
			t.Errorf("%s: %+v, want %+v", uri, got, want)
		}
	}
	is("/st", "/st", view{})
	is("/st", "/st;csv", view{form: "csv"})
	is("/st", "/st;csv;norefresh", view{form: "csv", norefresh: true})
	is("/st", "/st;json", view{form: "json"})
	is("/st", "/st;typed", view{form: "typed"})
	is("/st", "/st;up;norefresh", view{up: true, norefresh: true})
	is("/st", "/st?scope=web", view{scope: "web"})
	is("/st", "/st;up?scope=a+b%2Cc;csv", view{up: true, form: "csv", scope: "a b,c"})
	is("/st", "/st?scope="+strings.Repeat("x", 30), view{scope: strings.Repeat("x", 20)})
	is("/haproxy?stats", "/haproxy?stats;csv", view{form: "csv"})
	is("/st", "/st;st=DONE", view{result: "DONE"})
	is("/st", "/stats", view{})
	is("/st", "/other;csv", view{})
	is("/st", "/st?scope=%zz%4", view{scope: "%zz%4"})
}

func TestRender(t *testing.T) {
	p := Page{URI: "/st", Refresh: 5 * time.Second}
	a := p.Render("/st", sample())
	if a.ContentType != "text/html" || a.Refresh != 5 {
		t.Errorf("%s, refresh %d", a.ContentType, a.Refresh)
	}
	if a := p.Render("/st;norefresh", sample()); a.Refresh != 0 || strings.Contains(string(a.Body), "http-equiv") {
		t.Error("norefresh refreshes")
	}
	a = p.Render("/st;csv", sample())
	if rows, err := csv.NewReader(strings.NewReader(string(a.Body))).ReadAll(); err != nil || len(rows) != 7 || a.ContentType != "text/plain" {
		t.Errorf("csv: %s, %d rows, %v", a.ContentType, len(rows), err)
	}
	a = p.Render("/st;json", sample())
	if !json.Valid(a.Body) || a.ContentType != "application/json" {
		t.Errorf("json: %s", a.ContentType)
	}
	a = p.Render("/st;json-schema", sample())
	if !json.Valid(a.Body) || a.ContentType != "application/json" {
		t.Errorf("json-schema: %s", a.ContentType)
	}
	if a = p.Render("/st;typed", sample()); !strings.HasPrefix(string(a.Body), "F.2.0.0.pxname.1:KNS:str:web\n") {
		t.Errorf("typed: %.60s", a.Body)
	}
	a = p.Render("/st;csv?scope=pp", sample())
	if s := string(a.Body); strings.Contains(s, "\nweb,") || !strings.Contains(s, "\napp,") {
		t.Error("scope shows other proxies")
	}
	p.Scope = []string{"web"}
	if s := string(p.Render("/st;csv", sample()).Body); strings.Contains(s, "\napp,") || !strings.Contains(s, "\nweb,") {
		t.Error("stats scope shows other proxies")
	}
}

// The page holds every proxy and row, closes what it opens, and shows nothing
// the operator hides. Names from outside are text, never markup.
func TestHTML(t *testing.T) {
	p := Page{URI: "/st?a=1&b", HideVersion: true, ShowNode: "n1", ShowDesc: "<desc>", Prometheus: "/metrics"}
	s := sample()
	s.Rows[3].CheckInfo = `"><script>`
	out := string(p.Render(`/st?a=1&b?scope="><script>`, s).Body)
	if strings.Contains(out, "<script") || strings.Contains(out, "a<1>") || strings.Contains(out, "<desc>") {
		t.Error("markup from outside")
	}
	out = string(p.Render("/st?a=1&b", s).Body)
	for _, tag := range []string{"table", "colgroup", "div", "a", "p", "h2", "form", "body", "html", "style"} {
		opened := strings.Count(out, "<"+tag+">") + strings.Count(out, "<"+tag+" ")
		if closed := strings.Count(out, "</"+tag+">"); opened != closed || opened == 0 {
			t.Errorf("<%s> %d times, closed %d times", tag, opened, closed)
		}
	}
	for _, tag := range []string{"tr", "td", "th", "thead", "tbody"} { // whose end HTML knows
		if strings.Contains(out, "</"+tag+">") {
			t.Errorf("<%s> is closed", tag)
		}
	}
	if n := strings.Count(out, "<table>"); n != 2 {
		t.Errorf("%d tables, want one for each proxy", n)
	}
	rows := 0
	for row := range strings.SplitSeq(out, "<tr class=") {
		if body, _, ok := strings.Cut(row, "\n"); ok && strings.Contains(body, "<td") {
			rows++
			if n := strings.Count(body, "<td"); n != 31 {
				t.Errorf("%d cells in a row, want the name and 30: %s", n, body)
			}
		}
	}
	if rows != len(s.Rows) {
		t.Errorf("%d rows, want %d", rows, len(s.Rows))
	}
	if strings.Contains(out, "9.87") || strings.Contains(out, "127.0.0.1") {
		t.Error("hidden things are shown")
	}
	for _, want := range []string{"on <b>n1</b>", "<p>&lt;desc&gt;</p>", `class="up"`, `class="down"`, `class="maint"`, "L7OK/200 in 0ms", "8.0 Mbps", `href="/metrics"`, "a&lt;1&gt;"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s", want)
		}
	}
	p.ShowLegends = true
	if out := string(p.Render("/st", s).Body); !strings.Contains(out, `127.0.0.1:81, since `) {
		t.Error("legends are not shown")
	}
	if out := string(p.Render(p.URI+";up", s).Body); strings.Contains(out, `class="down"`) {
		t.Error("a server that is down is not hidden")
	}
}

// Who may change things finds a box for each server and the actions; others do
// not. What became of a form is said, and only in the page's own words.
func TestHTMLForAdministrators(t *testing.T) {
	p := Page{URI: "/st"}
	s := sample()
	servers := 0
	for i := range s.Rows {
		if s.Rows[i].Kind == Server {
			servers++
		}
	}
	out := string(p.RenderFor("/st;st=DONE", s, true).Body)
	if n := strings.Count(out, `<input type="checkbox" name="s" value="`); n != servers {
		t.Errorf("%d boxes for %d servers", n, servers)
	}
	for _, want := range []string{`<form method="post" action="/st">`, `<input type="hidden" name="b" value="#`, `<option value="maint">`, Results["DONE"]} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s", want)
		}
	}
	if out := string(p.RenderFor("/st;st=EVIL<b>", s, false).Body); strings.Contains(out, "checkbox") || strings.Contains(out, "EVIL") || strings.Contains(out, `method="post"`) {
		t.Error("others see the boxes, or what they wrote themselves")
	}
}

// Trouble is named above everything, and quiet is said.
func TestHTMLNamesTrouble(t *testing.T) {
	s := sample()
	s.Rows = append(s.Rows, Row{Kind: Server, Proxy: "fine", Name: "x", State: Running}, Row{Kind: Backend, Proxy: "fine", Status: "UP"})
	names, of := troubled(s)
	if of != 2 || len(names) != 1 || names[0] != "app" && names[0] == "fine" {
		t.Errorf("%q of %d", names, of)
	}
	p := Page{URI: "/st"}
	if out := string(p.Render("/st", s).Body); !strings.Contains(out, "<b>1 of 2 backends has trouble:</b> <a href=\"#") {
		t.Error("trouble is not named")
	}
	s.Rows = s.Rows[len(s.Rows)-2:]
	if out := string(p.Render("/st", s).Body); !strings.Contains(out, "All servers of 1 backends are as they should be.") {
		t.Error("quiet is not said")
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", 18446744073709551615: "18,446,744,073,709,551,615"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// A page of a thousand servers is made in a moment.
func BenchmarkHTML(b *testing.B) {
	s := &Snapshot{}
	for range 100 {
		for range 10 {
			s.Rows = append(s.Rows, Row{Kind: Server, Proxy: "backend", Name: "server", State: Running, Checks: Checks{CheckConfigured: true, CheckStatus: "L7OK"}, Counters: Counters{SessTotal: 1234567}})
		}
		s.Rows = append(s.Rows, Row{Kind: Backend, Proxy: "backend", Status: "UP"})
	}
	p := Page{URI: "/st"}
	for b.Loop() {
		p.Render("/st", s)
	}
}

// No address of a page breaks its rendering.
func FuzzView(f *testing.F) {
	for _, s := range []string{"/st", "/st;csv", "/st?scope=%41", "/st;up?scope=a;json", "/st?scope=%"} {
		f.Add(s)
	}
	s := sample()
	f.Fuzz(func(t *testing.T, uri string) {
		a := (&Page{URI: "/st"}).Render(uri, s)
		if len(a.Body) == 0 && a.ContentType != "text/plain" {
			t.Fatal("an empty page")
		}
		if strings.Contains(string(a.Body), "<script") {
			t.Fatal("markup from outside")
		}
	})
}

// Times are never cut off, in bold either; numbers that may be are whole in their title.
func TestCellsFit(t *testing.T) {
	// A cell's width in units of the font's size: less 3px and 6px of padding, border and all, at 12px.
	room := map[string]float64{"s": 4.6 - 13./12, "m": 6.4 - 13./12, "l": 7.6 - 13./12}
	for class, width := range map[string]string{"s": "4.6em", "m": "6.4em", "l": "7.6em"} {
		if !strings.Contains(pageStyle, "col."+class+"{width:"+width+"}") {
			t.Errorf("the columns of class %s are not %s wide", class, width)
		}
	}
	wide := func(text string) (n float64) {
		for _, c := range text {
			n += map[rune]float64{'m': 1.05, ',': 0.35, '.': 0.35}[c]
			if c != 'm' && c != ',' && c != '.' {
				n += 0.66 // a bold digit or letter of DejaVu Sans is 0.6 to 0.7
			}
		}
		return n
	}
	for _, c := range htmlColumns {
		if c.name != "Last" && c.name != "Dwntme" {
			continue
		}
		for _, s := range []int{3599, 86399, 99*86400 + 86399} {
			if text := Ago(s); wide(text) > room[c.width] {
				t.Errorf("%s in %s is cut off", text, c.name)
			}
		}
	}
	if text := "9,999"; wide(text) > room["s"] {
		t.Errorf("%s is cut off", text)
	}
	w := new(page)
	w.counts(true, 9999, 10000)
	if got := string(w.buf); got != `<td>9,999<td title="10,000">10,000` {
		t.Errorf("%s", got)
	}
}
