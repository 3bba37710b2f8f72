package rule

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/sample"
)

// useService lets the engine answer with a service of its own.
type useService struct{}

func parseUseService(p *ruleParser) (action, error) {
	name, err := p.need("a service's name: prometheus-exporter")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "lua.") {
		return nil, sample.Refused(fmt.Sprintf("service '%s'", name), scripts+"; "+sample.ScriptWay(name, "write an http-request return rule, or run a server for it and use_backend"))
	}
	if name != "prometheus-exporter" {
		return nil, fmt.Errorf("'%s' is not a service of lb; there is prometheus-exporter", name)
	}
	return useService{}, nil
}

func (useService) run(*sample.Ctx) Verdict { return Service }

// useCache has a cache asked for the answer, which is given once all rules of the
// set have been asked. storeCache has the response kept.
type (
	useCache   struct{ name string }
	storeCache struct{ name string }
)

func parseUseCache(p *ruleParser) (action, error) {
	name, err := cacheName(p)
	return useCache{name}, err
}

func parseStoreCache(p *ruleParser) (action, error) {
	name, err := cacheName(p)
	return storeCache{name}, err
}

func cacheName(p *ruleParser) (string, error) {
	name, err := p.need("a cache's name")
	if err == nil {
		p.acls.Uses.Note(&sample.CacheRef{Name: name})
	}
	return name, err
}

func (a useCache) run(x *sample.Ctx) Verdict {
	x.Await = sample.Await{Cache: a.name}
	return UseCache
}

func (a storeCache) run(x *sample.Ctx) Verdict {
	x.Await = sample.Await{Cache: a.name}
	return StoreCache
}
