package backend

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStates(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Server)
		pick   bool // takes part in balancing
		take   bool // clients bound by a cookie may go there
	}{
		{"as configured", func(*Server) {}, true, true},
		{"down", func(s *Server) { s.SetHealth(false) }, false, false},
		{"forced maintenance", func(s *Server) { s.SetAdmin(ForcedMaint) }, false, false},
		{"once disabled in the configuration", func(s *Server) { s.SetAdmin(ConfigMaint) }, true, true},
		{"drain", func(s *Server) { s.SetAdmin(ForcedDrain) }, false, true},
		{"weight 0", func(s *Server) { s.SetWeight(0) }, false, true},
		{"drain and down", func(s *Server) { s.SetAdmin(ForcedDrain); s.SetHealth(false) }, false, false},
		{"up in maintenance", func(s *Server) { s.SetAdmin(ForcedMaint); s.SetHealth(false); s.SetHealth(true) }, false, false},
		{"back", func(s *Server) { s.SetAdmin(ForcedMaint); s.SetAdmin(0) }, true, true},
		{"down and up", func(s *Server) { s.SetHealth(false); s.SetHealth(true) }, true, true},
	} {
		b := newBackend(Options{}, 1)
		s := b.Servers[0]
		c.change(s)
		if _, got := b.Pick(0, nil); (got == Picked) != c.pick || !c.pick && got != None {
			t.Errorf("%s: Pick gives %d", c.name, got)
		}
		if got := b.Take(s); (got == Picked) != c.take || !c.take && got != None {
			t.Errorf("%s: Take gives %d", c.name, got)
		}
		st := s.Stats()
		if (st.Effective > 0) != c.pick || st.Usable != c.take {
			t.Errorf("%s: statistics say effective weight %d, usable %v", c.name, st.Effective, st.Usable)
		}
		if up := b.Stats().Up; up != c.pick {
			t.Errorf("%s: backend up is %v", c.name, up)
		}
	}
}

func TestSetHealthTellsChanges(t *testing.T) {
	b := newBackend(Options{}, 1)
	s := b.Servers[0]
	for i, c := range []struct{ up, changed bool }{{true, false}, {false, true}, {false, false}, {true, true}} {
		if got := s.SetHealth(c.up); got != c.changed {
			t.Errorf("step %d: changed is %v", i, got)
		}
	}
	if st := s.Stats(); st.Downs != 1 {
		t.Errorf("%d downs, want 1", st.Downs)
	}
	if st := b.Stats(); st.Downs != 1 || st.Active != 1 {
		t.Errorf("backend: %d downs, %d active; want 1, 1", st.Downs, st.Active)
	}
}

// withBackups has servers 1, 2 and backups 3, 4.
func withBackups(all bool) *Backend {
	var servers []*Server
	for i := range 4 {
		s := &Server{ID: i + 1, Index: i, MaxConn: Unlimited, Backup: i >= 2}
		s.SetInitial(1, 0, true)
		servers = append(servers, s)
	}
	return New(Options{AllBackups: all}, servers)
}

func TestBackups(t *testing.T) {
	for _, all := range []bool{false, true} {
		b := withBackups(all)
		got := counts(b, sequence(t, b, 10))
		if got[2]+got[3] != 0 {
			t.Errorf("all %v: backups are used besides active servers: %v", all, got)
		}
		b.Servers[0].SetHealth(false)
		if got := counts(b, sequence(t, b, 10)); got[1] != 10 {
			t.Errorf("all %v: with one active server left: %v", all, got)
		}
		b.Servers[1].SetWeight(0)
		want := [2]int{10, 0}
		if all {
			want = [2]int{5, 5}
		}
		if got := counts(b, sequence(t, b, 10)); [2]int(got[2:]) != want {
			t.Errorf("all %v: the backups got %v, want %v", all, got[2:], want)
		}
		b.Servers[2].SetAdmin(ForcedMaint)
		if got := counts(b, sequence(t, b, 10)); got[3] != 10 {
			t.Errorf("all %v: with one backup left: %v", all, got)
		}
		if st := b.Stats(); st.Active != 0 || st.Backup != 1 || !st.Up {
			t.Errorf("all %v: %d active, %d backup, up %v", all, st.Active, st.Backup, st.Up)
		}
		b.Servers[0].SetHealth(true)
		if got := counts(b, sequence(t, b, 10)); got[0] != 10 {
			t.Errorf("all %v: after an active server's return: %v", all, got)
		}
	}
}

func TestClear(t *testing.T) {
	b := newBackend(Options{}, 1)
	s := b.Servers[0]
	for range 3 {
		b.Enter()
		b.Pick(0, nil)
	}
	b.Release(s)
	b.Leave()
	b.Clear(false)
	if st, be := s.Stats(), b.Stats(); st.Max != 2 || st.Picked != 3 || be.Max != 2 || be.Cur != 2 || be.Picked != 3 {
		t.Errorf("maxima cleared: %+v %+v", st, be)
	}
	b.Clear(true)
	if st, be := s.Stats(), b.Stats(); st.Picked != 0 || be.Picked != 0 || st.Cur != 2 {
		t.Errorf("all cleared: %+v %+v", st, be)
	}
}

func TestRawAddresses(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"[::1]:65535", "[::1]:65535"},
		{"[::ffff:192.0.2.1]:258", "192.0.2.1:258"},
	} {
		a := TCPAddr(netip.MustParseAddrPort(c.in))
		raw, _ := a.Raw()
		if got := FromRaw(raw).String(); got != c.out {
			t.Errorf("%s comes back as %s", c.in, got)
		}
	}
	if got := FromRaw(&unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNIX}}); got.IsValid() {
		t.Errorf("a unix peer gives %v", got)
	}
}

func TestUnixAddr(t *testing.T) {
	long := string(make([]byte, maxPath+1))
	for _, path := range []string{"", long} {
		if _, err := UnixAddr(path); err == nil {
			t.Errorf("a path of %d bytes was taken", len(path))
		}
	}
	a, err := UnixAddr("/run/s")
	if raw, size := a.Raw(); err != nil || size != 2+7 || raw.Addr.Family != unix.AF_UNIX || a.String() != "/run/s" {
		t.Errorf("%v, %d bytes, %v", err, size, raw.Addr)
	}
	a, err = UnixAddr("@name")
	if raw, size := a.Raw(); err != nil || size != 2+5 || raw.Addr.Data[0] != 0 || raw.Addr.Data[1] != 'n' {
		t.Errorf("abstract: %v, %d bytes, %v", err, size, raw.Addr)
	}
}

// The weight that operators see is of the servers in use: not of backups while others are up, nor of servers that are down.
func TestUserWeight(t *testing.T) {
	b := newBackend(Options{}, 10, 20, 40, 80)
	b.Servers[3].Backup = true
	b = New(b.Options, b.Servers)
	b.Servers[3].SetHealth(false) // and comes back as a backup
	b.Servers[3].SetHealth(true)
	want := func(what string, weight int) {
		t.Helper()
		if got := b.Stats().UserWeight; got != weight {
			t.Errorf("%s: %d, want %d", what, got, weight)
		}
	}
	want("all", 70)
	b.Servers[1].SetHealth(false)
	want("one is down", 50)
	b.Servers[2].SetAdmin(ForcedDrain)
	want("another one drains", 10)
}

// TestTookLast: one server is the one that left its backend none, once, and nobody where there is one again or where the state was restored.
func TestTookLast(t *testing.T) {
	b := newBackend(Options{}, 1, 1)
	one, two := b.Servers[0], b.Servers[1]
	is := func(what string, first, second bool) {
		t.Helper()
		if x, y := one.TookLast(), two.TookLast(); x != first || y != second {
			t.Errorf("%s: %v, %v; want %v, %v", what, x, y, first, second)
		}
	}
	is("all are up", false, false)
	one.SetHealth(false)
	is("one is left", false, false)
	two.SetWeight(0)
	is("none is left", false, true)
	is("asked again", false, false)
	one.SetAdmin(ForcedMaint)
	is("less than none", false, false)
	two.SetWeight(1)
	two.SetAdmin(ForcedDrain)
	two.SetAdmin(0)
	is("there was none in between", false, false)
	two.SetHealth(false)
	b.Restored(nil)
	is("restored", false, false)
}
