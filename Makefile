# lb and syslogd: build, run, test, measure. `make` alone prints the list.
#
# A line "target: ## words" is its own documentation: `make help` reads this file.

.DEFAULT_GOAL := help
SHELL         := /bin/bash

# A tag's leading v is git's custom, not part of the version.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null | sed 's/^v//' | grep . || echo 0.1.0)

DATE ?= $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y/%m/%d 2>/dev/null)

# The profile is named here and in packaging, and is no default.pgo: with that, each go test, go vet and test program would compile all
# of lb's dependencies once more.
GO         ?= go
LDFLAGS    := -s -w -X lbsyslogd/cmd/internal/buildinfo.version=$(VERSION) -X lbsyslogd/cmd/internal/buildinfo.date=$(DATE)
BUILD      := CGO_ENABLED=0 $(GO) build -trimpath -pgo=cmd/profile.pgo -ldflags "$(LDFLAGS)"
STATICCHECK:= $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK   := $(GO) run github.com/kisielk/errcheck@v1.9.0

# The end-to-end packages start daemons and offer load, two even boot a systemd: two packages at a time, in network namespaces of
# their own (test/apart), and never under the race detector, which is for the packages that the daemons are made of.
E2E   = $(shell $(GO) list ./test/box/... ./test/dialect/... ./test/e2e/... ./test/handover/... ./test/packages/... ./test/served ./test/soak ./test/syslog/... ./test/tables/... ./test/vtc)
PLAIN = $(filter-out $(E2E),$(shell $(GO) list ./...))
RACED = $(filter-out lbsyslogd/test/%,$(PLAIN))

# Tests that have a long form, which LB_LONG asks for.
LONG = $(shell grep -rl LB_LONG --include='*_test.go' ./lb ./test ./rotate ./syslogd | xargs -n1 dirname | sort -u)

# Tests that compare with another program, or with what was recorded of it.
RECORDED = $(shell grep -rl 'tape\.Open' --include='*_test.go' ./lb ./test ./syslogd | xargs -n1 dirname | sort -u)

FUZZTIME ?= 20s

# How long a package's tests may take on a slow machine: they end by themselves, each wait with its own message.
PATIENCE ?= 20m

.PHONY: help build run test unit race e2e record grpc h2spec sinks compare picture long soak soak-short soak-bugs explore FORCE lint setup bench bench-quick bench-scale bench-maps bench-syslog bench-cluster fuzz deb image pgo clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## bin/lb and bin/syslogd, static
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/lb ./cmd/syslogd

run: build ## the demo: load, reloads and rotations together, then the ledger (ARGS=--stay leaves it running)
	@$(GO) build -o bin/demo ./test/demo # not go run: that fails at Ctrl-C, whatever the demo says
	@bin/demo -lb bin/lb -syslogd bin/syslogd $(ARGS)

test: setup lint unit race e2e ## everything: vet, linters, unit, race, end to end

setup:
	test/setup

lint: ## go vet, gofmt, staticcheck, errcheck (test/errcheck: the functions whose failure leaves nothing to do)
	$(GO) vet ./...
	$(GO) vet -tags profile ./cmd/lb
	@unformatted=$$(gofmt -l cmd lb logrotate packaging rotate syslogd test); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	$(STATICCHECK) ./...
	$(ERRCHECK) -ignoretests -exclude test/errcheck ./cmd/... ./lb/... ./rotate/... ./syslogd/... ./packaging/...

unit: ## ordinary tests, fuzz seeds and command-line scripts
	$(GO) test -timeout $(PATIENCE) $(PLAIN)

race: ## the tests of what the daemons are made of under the race detector
	$(GO) test -race -timeout $(PATIENCE) $(RACED)

e2e: ## end to end: ab, curl, openssl and logrotate against the real daemons
	$(GO) test -count=1 -p 2 -exec '"$(CURDIR)/test/apart"' -timeout 20m $(E2E)

record: setup ## what tests compare with, recorded anew from the programs themselves: for machines without them
	LB_RECORD=1 $(GO) test -count=1 -p 1 -timeout 20m $(RECORDED)

grpc: ## grpc-go's interoperability cases through lb: a module of its own, which takes half a minute to build
	cd test/grpc && $(GO) test -count=1 ./...

h2spec: ## h2spec's cases of HTTP/2 and HPACK against lb, for clients over TLS and in plain, and for servers: a module of its own
	cd test/h2spec && $(GO) test -count=1 ./...

sinks: ## sinks with the real receivers: VictoriaLogs and that of the OpenTelemetry collector, a module of its own, which takes minutes to build
	cd test/sinks && $(GO) test -count=1 -v -timeout 30m ./...

page: build ## the statistics page in headless Chromium, with axe-core of npm: accessibility, the console, screenshots
	test/page bin/lb

compare: build ## what reloads, restarts, broken files and a killed worker cost clients: ab through Debian's haproxy and lb, the same deeds (REQUESTS=20000)
	@test/compare bin/lb

picture: build ## docs/img/run.svg, of a short `make run`
	@$(GO) build -o bin/demo ./test/demo
	bin/demo -lb bin/lb -syslogd bin/syslogd -requests 20000 -duration 8s | test/svg 'make run' >docs/img/run.svg

long: setup grpc h2spec ## the tests that have a long form, in full size: some hours (RUN=TestTurmoil: one of them)
	LB_LONG=1 $(GO) test -count=1 -p 1 -timeout 180m -v -run '$(RUN)' $(LONG)

bin/soak: FORCE
	@$(GO) build -o bin/soak ./test/soak

# 8,500 requests a second are ten million in half an hour, with the time between rounds.
soak: bin/soak ## half an hour of everything that can happen, under load, and four books that have to agree (RACE=1: under the race detector; ARGS=-seed N, -case FILE, -help)
	@bin/soak -for 30m -rate 8500 -go-on $(if $(RACE),-race) $(ARGS)

soak-short: bin/soak ## the same for two minutes
	@bin/soak -for 2m $(if $(RACE),-race) $(ARGS)

soak-bugs: bin/soak ## bugs that are planted, one at a time: the soak has to find each
	@bin/soak -bugs test/soak/bugs -round 15s $(ARGS)

explore: setup ## every step and every death in a small handover and in a small log: the models whole, and the programs killed at each message and system call
	LB_LONG=1 $(GO) test -count=1 -v -timeout 60m ./test/explore
	LB_LONG=1 $(GO) test -count=1 -v -timeout 60m -exec '"$(CURDIR)/test/apart"' -run TestKilledAtEachMessage ./test/handover
	LB_LONG=1 $(GO) test -count=1 -v -timeout 60m -run 'Kill|Explore' ./rotate

bench: build ## CPU per request, latency and memory, lb beside Debian's haproxy and nginx: a quarter of an hour (ARGS="-lb-before OLD", -markdown, -json FILE, -load loop)
	$(GO) run ./test/bench -lb bin/lb -syslogd bin/syslogd $(ARGS)

bench-quick: build ## the same in about three minutes: without nginx and the rows that have no goal
	$(GO) run ./test/bench -lb bin/lb -syslogd bin/syslogd -quick $(ARGS)

bench-scale: build ## 5,000 backends of two checked servers, lb and Debian's haproxy side by side: reloads, latency, memory, idle processor
	$(GO) run ./test/bench/scale -lb bin/lb $(ARGS)

bench-maps: build ## 5,000 changes of a map of 100,000 lines, lb and Debian's haproxy side by side: time, latency meanwhile, memory
	$(GO) run ./test/bench/scale -lb bin/lb -maps $(ARGS)

bench-syslog: build ## CPU per message, burst losses, messages/s with 1 and 2 readers, beside rsyslog, syslog-ng and a bare loop (ARGS=-show: their settings, -sweep: others)
	$(GO) run ./test/bench/syslog -syslogd bin/syslogd $(ARGS)

bench-cluster: build ## what a hundred balancers need, computed from figures that are measured: the tables of docs/cluster.md
	@$(GO) run ./test/bench/syslog -syslogd bin/syslogd -lb bin/lb -cluster 100 $(ARGS)

pgo: ## cmd/profile.pgo anew, which lb and syslogd are compiled with: two minutes of load on a quiet machine
	@test/pgo

fuzz: ## every fuzz target for FUZZTIME (default 20s) each
	@test/fuzz $(FUZZTIME)

deb: ## dist/*.deb and dist/*.rpm, for amd64 and arm64; two builds give the same bytes
	@VERSION="$(VERSION)" packaging/build

image: ## dist/container, to build images of both from; without root or an engine
	@VERSION="$(VERSION)" packaging/container/build

clean: ## remove what was built
	rm -rf bin dist
