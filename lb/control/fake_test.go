package control

import (
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/lb/lookup"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
)

// fake is a Runtime with a few servers and no engine: the seam this package is
// tested at. It changes state as HAProxy does.
type fake struct {
	mu       sync.Mutex
	servers  []ServerState
	listed   int // how often all servers of a backend were asked for
	paused   map[string]bool
	cleared  []bool
	given    int
	snapshot stats.Snapshot
	files    []*lookup.File
	tables   []*stick.Table
	sessions []Session
	bad      []BadMessage
	busy     atomic.Int32 // how often Removable finds connections yet
}

// newFake has what haproxy.cfg in compare_test.go says.
func newFake() *fake {
	server := func(bid int, b string, id int, s string, port, weight int) ServerState {
		return ServerState{
			BackendID: bid, Backend: b, ID: id, Name: s, Addr: "127.0.0.1", Port: port, State: stats.Running,
			Weight: weight, InitialWeight: weight, CheckStatus: 1, CheckHealth: 2,
		}
	}
	f := &fake{
		servers: []ServerState{
			server(3, "be", 1, "s1", 18490, 10), server(3, "be", 2, "s2", 18491, 1), server(3, "be", 3, "s3", 18492, 200),
			server(4, "tcpbe", 1, "t1", 18490, 1),
		},
		paused: map[string]bool{},
		tables: []*stick.Table{addrTable(), nameTable()},
		snapshot: stats.Snapshot{Info: stats.Info{Name: "HAProxy"}, Rows: []stats.Row{
			{Kind: stats.Frontend, Proxy: "fe", ProxyID: 2, HTTP: true, Status: "OPEN"},
			{Kind: stats.Backend, Proxy: "be", ProxyID: 3, HTTP: true, Status: "UP", Algo: "roundrobin"},
		}},
	}
	f.servers[2].State, f.servers[2].Admin, f.servers[2].CheckHealth = stats.Stopped, stats.ForcedMaint|stats.ConfigMaint, 0
	f.servers[2].CheckState = CheckPaused
	return f
}

// addrTable and nameTable are the stick tables of that configuration.
func addrTable() *stick.Table {
	s := stick.Spec{Name: "fe", Type: stick.IP, Len: 4, Size: 1024, Expire: 30_000}
	for d := range stick.NumData {
		s.Stores[d], s.Period[d] = !d.IsServer() && !d.InArray(), 10_000
	}
	return stick.New(s)
}

func nameTable() *stick.Table {
	s := stick.Spec{Name: "tcpbe", Type: stick.String, Len: 20, Size: 100}
	s.Stores[stick.ServerID], s.Stores[stick.ServerKey], s.Stores[stick.GPC0] = true, true, true
	return stick.New(s)
}

func (f *fake) DynamicCookie(string, bool) error { return nil }

func (f *fake) DynamicCookieKey(string, string) error { return nil }

func (f *fake) Files() []*lookup.File { return f.files }

func (f *fake) Tables() []*stick.Table { return f.tables }

func (f *fake) Snapshot() *stats.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.snapshot
	s.Rows = slices.Clone(s.Rows)
	return &s
}

func (f *fake) Backends() []BackendID { return []BackendID{{"be", 3}, {"tcpbe", 4}} }

func (f *fake) Servers(backend string) ([]ServerState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed++
	var out []ServerState
	for _, s := range f.servers {
		if backend == "" || s.Backend == backend {
			out = append(out, s)
		}
	}
	if out == nil {
		return nil, ErrNoBackend
	}
	return out, nil
}

func (f *fake) Server(backend, server string) (ServerState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := ErrNoBackend
	for _, s := range f.servers {
		if s.Backend != backend {
			continue
		}
		if err = ErrNoServer; s.Name == server || numbered(server, s.ID) {
			return s, nil
		}
	}
	return ServerState{}, err
}

func (f *fake) change(backend, server string, change func(s *ServerState)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.servers {
		if s := &f.servers[i]; s.Backend == backend && s.Name == server {
			change(s)
			return nil
		}
	}
	return ErrNoServer
}

func (f *fake) SetAdmin(backend, server string, a AdminChange) error {
	return f.change(backend, server, func(s *ServerState) {
		s.Admin &^= stats.ForcedMaint | stats.ForcedDrain
		s.State = stats.Running
		switch a {
		case Drain:
			s.Admin |= stats.ForcedDrain
		case Maint:
			s.Admin |= stats.ForcedMaint
			s.State, s.CheckHealth = stats.Stopped, 0
		}
	})
}

func (f *fake) SetWeight(backend, server string, weight int) error {
	return f.change(backend, server, func(s *ServerState) { s.Weight = weight })
}

func (f *fake) SetMaxConn(backend, server string, n int) error {
	return f.change(backend, server, func(*ServerState) {})
}

// agent does something to a server's agent, which s2 alone has.
func (f *fake) agent(backend, server string, do func(s *ServerState)) error {
	if server != "s2" {
		return ErrNoAgent
	}
	return f.change(backend, server, do)
}

func (f *fake) SetAgent(backend, server string, up bool) error {
	return f.agent(backend, server, func(s *ServerState) {
		s.State = stats.Stopped
		if up {
			s.State = stats.Running
		}
	})
}

func (f *fake) EnableAgent(backend, server string, on bool) error {
	if server != "s2" && on {
		return ErrNoAgentConfigured
	}
	return f.change(backend, server, func(*ServerState) {})
}

func (f *fake) AgentTarget(backend, server, addr string, port int) error {
	return f.agent(backend, server, func(s *ServerState) { s.AgentAddr, s.AgentPort = addr, port })
}

func (f *fake) AddServer(backend, server string, _ []string) error {
	if backend != "be" {
		return ErrNoBackend
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers = append(f.servers, ServerState{Backend: backend, Name: server, Admin: stats.ForcedMaint})
	return nil
}

func (f *fake) Removable(backend, server string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.servers, func(s ServerState) bool { return s.Backend == backend && s.Name == server })
	switch {
	case i < 0:
		return ErrNoServer
	case f.servers[i].Admin == 0:
		return Answer("Only servers in maintenance mode can be deleted.")
	case f.busy.Add(-1) >= 0:
		return ErrBusy
	}
	return nil
}

func (f *fake) DelServer(backend, server string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := len(f.servers)
	f.servers = slices.DeleteFunc(f.servers, func(s ServerState) bool { return s.Backend == backend && s.Name == server })
	if len(f.servers) == was {
		return ErrNoServer
	}
	return nil
}

func (f *fake) MoveServer(backend, server string, to netip.Addr, port string) error {
	return f.change(backend, server, func(s *ServerState) {
		s.Addr = to.String()
		if n, err := strconv.Atoi(port); err == nil {
			s.Port = n
		}
	})
}

func (f *fake) ServerPort(backend, server string) (port string) {
	f.change(backend, server, func(s *ServerState) { port = strconv.Itoa(s.Port) })
	return port
}

func (f *fake) CheckTarget(backend, server, addr string, port int) error {
	return f.change(backend, server, func(s *ServerState) { s.CheckAddr, s.CheckPort = addr, port })
}

func (f *fake) SetServerTLS(string, string, bool) error {
	return Answer("'set server <srv> ssl' cannot be set.  default-server should define ssl settings")
}

func (f *fake) SetRateLimit(string, int) error { return nil }

func (f *fake) SetVar(string, string, bool) error { return nil }

func (f *fake) GetVar(string) (kind, value string, ok bool) { return "", "", false }

func (f *fake) AgentSend(backend, server, text string) error {
	return f.agent(backend, server, func(*ServerState) {})
}

func (f *fake) SetHealth(backend, server string, h Health) error {
	return f.change(backend, server, func(s *ServerState) {
		switch h {
		case HealthUp:
			s.State, s.CheckHealth = stats.Running, 4
		case HealthStopping:
			s.State, s.CheckHealth = stats.Stopping, 4
		case HealthDown:
			s.State, s.CheckHealth = stats.Stopped, 0
		}
	})
}

func (f *fake) SetFrontend(frontend string, on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if frontend != "fe" {
		return ErrNoFrontend
	}
	if f.paused[frontend] == !on {
		return ErrNoChange
	}
	f.paused[frontend] = !on
	return nil
}

func (f *fake) MaxConn(frontend string) (own, global int, err error) {
	if frontend != "fe" {
		return 0, 0, ErrNoFrontend
	}
	return 100, 1000, nil
}

func (f *fake) SetFrontendMaxConn(frontend string, n int) error {
	_, _, err := f.MaxConn(frontend)
	return err
}

func (f *fake) SetGlobalMaxConn(n int) error {
	if n > 1000 {
		return Answer("Value out of range.")
	}
	return nil
}

func (f *fake) ShutFrontend(frontend string) error {
	_, _, err := f.MaxConn(frontend)
	return err
}

func (f *fake) Sessions() []Session { return f.sessions }

func (f *fake) ShutSession(id uint64) bool {
	before := len(f.sessions)
	f.sessions = slices.DeleteFunc(f.sessions, func(s Session) bool { return s.ID == id })
	return len(f.sessions) < before
}

func (f *fake) ShutServer(backend, server string) error {
	return f.change(backend, server, func(*ServerState) {})
}

func (f *fake) EnableHealth(backend, server string, on bool) error {
	if server == "s2" && on {
		return ErrNoCheck
	}
	return f.change(backend, server, func(*ServerState) {})
}

func (f *fake) BadMessages() ([]BadMessage, uint64) { return slices.Clone(f.bad), uint64(len(f.bad)) }

func (f *fake) Held() (now, budget int64) { return 5, 100 }

func (f *fake) RuntimeChanges() []Change { return []Change{{"map m", "3 lines"}} }

func (f *fake) ClearRuntimeChanges() error { return nil }

func (f *fake) Loops() []Loop { return []Loop{{1, 2}, {3, 4}} }

func (f *fake) ClearCounters(all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleared = append(f.cleared, all)
}

func (f *fake) SendSockets(conn *net.UnixConn) error {
	f.mu.Lock()
	f.given++
	f.mu.Unlock()
	_, err := conn.Write([]byte("sockets"))
	return err
}

func (f *fake) gifts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.given
}

// serve runs s on a unix socket until the test ends or stop is called, which
// waits for it.
func serve(t *testing.T, s *Server) (path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return path, stop
}

// dial connects, with a deadline that only a broken test reaches.
func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends what is given on a connection of its own and reads to the end.
func ask(t *testing.T, path, commands string) string {
	t.Helper()
	c := dial(t, path)
	if _, err := io.WriteString(c, commands); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q: %v after %q", commands, err, answer)
	}
	return string(answer)
}
