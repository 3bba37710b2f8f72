package rule

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/sample"
)

// parseCache reads the name of a cache, which is empty: nothing is cached.
func parseCache(p *ruleParser) (action, error) {
	name, err := p.need("a cache's name")
	if err == nil {
		p.acls.Uses.Note(&sample.CacheRef{Name: name})
	}
	return nothing{}, err
}

// useService lets the engine answer with a service of its own.
type useService struct{}

func parseUseService(p *ruleParser) (action, error) {
	name, err := p.need("a service's name: prometheus-exporter")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "lua.") {
		return nil, sample.Refused(fmt.Sprintf("service '%s'", name), scripts+"; write an http-request return rule, or run a server for it and use_backend")
	}
	if name != "prometheus-exporter" {
		return nil, fmt.Errorf("'%s' is not a service of lb; there is prometheus-exporter", name)
	}
	return useService{}, nil
}

func (useService) run(*sample.Ctx) Verdict { return Service }
