package rule

import (
	"fmt"

	"lbsyslogd/lb/sample"
)

// useService lets the engine answer with a service of its own.
type useService struct{}

func parseUseService(p *ruleParser) (action, error) {
	name, err := p.need("a service's name: prometheus-exporter")
	if err != nil {
		return nil, err
	}
	if name != "prometheus-exporter" {
		return nil, fmt.Errorf("'%s' is not a service of lb; there is prometheus-exporter", name)
	}
	return useService{}, nil
}

func (useService) run(*sample.Ctx) Verdict { return Service }
