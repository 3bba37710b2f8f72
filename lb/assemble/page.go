package assemble

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// statsPage serves the page of a proxy's `stats` lines.
func (rt *Runtime) statsPage(p *config.Proxy) *stream.StatsPage {
	c := p.Stats
	page := &stats.Page{
		URI: c.URI, Refresh: c.Refresh, HideVersion: c.HideVersion, ShowLegends: c.ShowLegends,
		ShowNode: c.ShowNode, ShowDesc: c.ShowDesc,
	}
	return &stream.StatsPage{
		URI: c.URI, Name: "<STATS>", Rules: c.Rules,
		Serve: func(req stream.StatsRequest) stream.StatsReply {
			if len(c.Auths) > 0 && !authorized(req.Authorization, c.Auths) {
				return unauthorized(c.Realm)
			}
			if req.Method != "GET" && req.Method != "HEAD" {
				return stream.StatsReply{Status: 405, Header: []byte("allow: GET, HEAD\r\n")}
			}
			a := page.Render(req.URI, rt.Snapshot())
			header := "cache-control: no-cache\r\ncontent-type: " + a.ContentType + "\r\n"
			if a.Refresh > 0 {
				header += fmt.Sprintf("refresh: %d\r\n", a.Refresh)
			}
			return stream.StatsReply{Status: 200, Header: []byte(header), Body: a.Body}
		},
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
