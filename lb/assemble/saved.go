package assemble

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/servercheck"
)

// Server state files: load-server-state-from-file. They count where no worker was
// before this one: the state of a worker is newer than any file.

// savedStates are what files say of the configuration's servers.
type savedStates map[*config.Server]*servercheck.Saved

// readSaved reads the files that the backends name. What is wrong with one is a
// warning: without its state a server begins as the configuration says.
func (b *builder) readSaved() savedStates {
	if b.env.Former != nil {
		return nil
	}
	files := map[string]map[string]*servercheck.Saved{} // by path, then by BACKEND/SERVER
	states := savedStates{}
	for _, p := range b.proxies() {
		path := p.StateFile
		if !p.Backend || path == "" {
			continue
		}
		list, known := files[path]
		if !known {
			list = b.readSavedFile(path)
			files[path] = list
		}
		for i := range p.Servers {
			if v := list[p.Name+"/"+p.Servers[i].Name]; v != nil {
				states[&p.Servers[i]] = v
			}
		}
	}
	return states
}

func (b *builder) readSavedFile(path string) map[string]*servercheck.Saved {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		b.rt.note(fmt.Sprintf("server state file: %v; its servers begin as the configuration says", err))
		return nil
	}
	list, refused, err := servercheck.ParseSaved(text)
	if err != nil {
		b.rt.note(fmt.Sprintf("server state file %s: %v; its servers begin as the configuration says", path, err))
	}
	for _, err := range refused {
		b.rt.note(fmt.Sprintf("server state file %s: %v; the server begins as the configuration says", path, err))
	}
	byName := map[string]*servercheck.Saved{}
	for i := range list {
		byName[list[i].Backend+"/"+list[i].Server] = &list[i]
	}
	return byName
}

// last is the address that a server whose address is a name had.
func (states savedStates) last(s *config.Server) (netip.Addr, bool) {
	v := states[s]
	if v == nil || s.Resolve.Service || v.FQDN != s.Host {
		return netip.Addr{}, false
	}
	return v.Addr, v.Addr.IsValid() && !v.Addr.IsUnspecified()
}

// applySaved gives the servers, and the backends that have them, their states.
func (rt *Runtime) applySaved(states savedStates) {
	changed := map[*backend.Backend]bool{}
	for _, s := range rt.Set.All() {
		cs := rt.serverConfigs[s.Target().Index]
		v := states[cs]
		if v == nil {
			continue
		}
		s.Load(v)
		changed[s.Members()] = true
		if v.Port == 0 || cs.Port == 0 || v.Port == cs.Port || resolved(cs) {
			continue
		}
		if at := s.Target().Addr().IP; at.IsValid() {
			s.Target().SetAddr(backend.TCPAddr(netip.AddrPortFrom(at.Addr(), uint16(v.Port))))
			rt.operated.moved[s] = true
			s.Moved()
			rt.note(fmt.Sprintf("server %s/%s is at port %d, which its state file has; configured %d", s.Backend(), cs.Name, v.Port, cs.Port))
		}
	}
	for be := range changed {
		be.Restored(nil)
	}
}
