package assemble

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// statsPage serves the page of a proxy's `stats` lines.
func (rt *Runtime) statsPage(p *config.Proxy) *stream.StatsPage {
	c := p.Stats
	page := &stats.Page{
		URI: c.URI, Refresh: c.Refresh, HideVersion: c.HideVersion, ShowLegends: c.ShowLegends, ShowNode: c.ShowNode, ShowDesc: c.ShowDesc,
	}
	if c.NodeShown && c.ShowNode == "" {
		page.ShowNode = cmp.Or(rt.cfg.Global.Node, rt.eng.Hostname)
	}
	if c.DescShown && c.ShowDesc == "" {
		page.ShowDesc = rt.cfg.Global.Description
	}
	for _, name := range c.Scope {
		if name == "." {
			name = p.Name
		}
		page.Scope = append(page.Scope, name)
	}
	return &stream.StatsPage{
		URI: c.URI, Name: "<STATS>", Rules: c.Rules, Admin: c.Admin,
		Serve: func(req stream.StatsRequest) stream.StatsReply {
			switch {
			case len(c.Auths) > 0 && !authorized(req.Authorization, c.Auths):
				return unauthorized(c.Realm)
			case req.Method == "POST":
				return posted(c.URI, rt.act(page, &req))
			case req.Method != "GET" && req.Method != "HEAD":
				return stream.StatsReply{Status: 405, Header: []byte("allow: GET, HEAD\r\n")}
			}
			shown := *page
			shown.Reloads = rt.generations()
			past := rt.history.Past(rt.generation.Taken())
			shown.Past, shown.Pipeline, shown.Requests = &past, rt.pipeline(), rt.eng.Pulse().Requests
			a := shown.RenderFor(req.URI, rt.Snapshot(), req.Admin)
			header := "cache-control: no-cache\r\ncontent-type: " + a.ContentType + "\r\n"
			if strings.HasPrefix(a.ContentType, "text/html") {
				header += "content-security-policy: " + stats.ContentPolicy + "\r\nreferrer-policy: same-origin\r\n"
			}
			if a.Refresh > 0 {
				header += fmt.Sprintf("refresh: %d\r\n", a.Refresh)
			}
			return stream.StatsReply{Status: 200, Header: []byte(header), Body: a.Body}
		},
	}
}

// generations is what the page says of reloads; nil without a master.
func (rt *Runtime) generations() *stats.Reloads {
	r := rt.reloads.Load()
	if r == nil {
		return nil
	}
	shown := &stats.Reloads{Generation: rt.env.Generation, Since: rt.env.Started.Format(time.DateTime), Total: r.Total, Failed: r.Failed}
	if !r.LastGood.IsZero() {
		shown.Last = r.LastGood.Format(time.DateTime)
	}
	shown.Refused = r.Refused
	return shown
}

// pipeline is what the page says of log lines.
func (rt *Runtime) pipeline() (list []stats.Pipe) {
	for _, h := range rt.receivers[:min(len(rt.receivers), mostPipes)] {
		list = append(list, stats.Pipe{Target: h.Address, Sent: h.Sent(), Lost: h.Lost()})
	}
	return list
}

// mostPipes is how many receivers the page shows.
const mostPipes = 6

// posted sends the client back to the page, which says what became of the form.
func posted(uri, result string) stream.StatsReply {
	return stream.StatsReply{Status: 303, Header: []byte("cache-control: no-cache\r\ncontent-type: text/plain\r\nlocation: " + uri + ";st=" + result + "\r\n")}
}

// act does what a posted form asks for. The result is a key of stats.Results.
func (rt *Runtime) act(page *stats.Page, req *stream.StatsRequest) string {
	switch {
	case !req.Admin:
		return "DENY"
	case foreign(req):
		return "CSRF"
	case req.Form == nil:
		return "EXCD"
	}
	form, err := url.ParseQuery(string(req.Form))
	if err != nil {
		return "ERRP"
	}
	if !form.Has("b") || form.Get("action") == "" {
		return "NONE"
	}
	backend := rt.backendNamed(form.Get("b"))
	if backend == "" || page.Scope != nil && !slices.Contains(page.Scope, backend) {
		return "ERRP"
	}
	do, known := rt.actions()[form.Get("action")]
	if !known {
		return "ERRP"
	}
	done, failed := 0, 0
	for _, server := range form["s"] {
		if err := do(backend, server); err != nil {
			failed++
			continue
		}
		done++
		rt.logEvent(slog.LevelInfo, "", fmt.Sprintf("server %s/%s: %s, by the statistics page", backend, server, form.Get("action")))
	}
	switch {
	case failed > 0 && done > 0:
		return "PART"
	case failed > 0:
		return "ERRP"
	case done == 0:
		return "NONE"
	}
	return "DONE"
}

// foreign says that a form was posted from another site's page. Programs that
// are no browsers say nothing of where it comes from.
func foreign(req *stream.StatsRequest) bool {
	if site := req.FetchSite; site != "" && site != "same-origin" && site != "none" {
		return true
	}
	if req.Origin == "" {
		return false
	}
	u, err := url.Parse(req.Origin)
	return err != nil || u.Host == "" || !strings.EqualFold(u.Host, req.Host)
}

// backendNamed finds a backend by its name or as "#ID"; "" is none.
func (rt *Runtime) backendNamed(word string) string {
	for _, be := range rt.eng.Backends {
		if word == be.Proxy.Name || word == fmt.Sprintf("#%d", be.ID) {
			return be.Proxy.Name
		}
	}
	return ""
}

// actions are those of stats.Actions.
func (rt *Runtime) actions() map[string]func(backend, server string) error {
	set := &rt.Set
	admin := func(a control.AdminChange) func(string, string) error {
		return func(b, s string) error { return set.SetAdmin(b, s, a) }
	}
	healthOf := func(h control.Health) func(string, string) error {
		return func(b, s string) error { return set.SetHealth(b, s, h) }
	}
	return map[string]func(backend, server string) error{
		"ready": admin(control.Ready), "drain": admin(control.Drain), "maint": admin(control.Maint),
		"enable": admin(control.Ready), "disable": admin(control.Maint), "stop": admin(control.Maint), "start": admin(control.Ready), // HAProxy's older words
		"dhlth": func(b, s string) error { return set.EnableHealth(b, s, false) },
		"ehlth": func(b, s string) error { return set.EnableHealth(b, s, true) },
		"hrunn": healthOf(control.HealthUp), "hnolb": healthOf(control.HealthStopping), "hdown": healthOf(control.HealthDown),
		"dagent":   func(b, s string) error { return set.EnableAgent(b, s, false) },
		"eagent":   func(b, s string) error { return set.EnableAgent(b, s, true) },
		"arunn":    func(b, s string) error { return set.SetAgent(b, s, true) },
		"adown":    func(b, s string) error { return set.SetAgent(b, s, false) },
		"shutdown": set.ShutServer,
	}
}

// authorized compares Basic credentials with each "user:password", taking the
// same time whichever byte differs.
func authorized(field string, auths []string) bool {
	scheme, coded, _ := strings.Cut(field, " ")
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return false
	}
	return slices.ContainsFunc(auths, func(want string) bool {
		return subtle.ConstantTimeCompare(given, []byte(want)) == 1
	})
}

func unauthorized(realm string) stream.StatsReply {
	if realm == "" {
		realm = "HAProxy Statistics"
	}
	return stream.StatsReply{
		Status: 401,
		Header: []byte("cache-control: no-cache\r\ncontent-type: text/html\r\nwww-authenticate: Basic realm=\"" + realm + "\"\r\n"),
		Body: []byte("<html><body><h1>401 Unauthorized</h1>\n" +
			"You need a valid user and password to access this content.\n</body></html>\n"),
	}
}
