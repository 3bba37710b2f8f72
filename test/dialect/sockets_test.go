package dialect

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// socketWords are options of sockets, by words of the configuration.
var socketWords = map[string][2]int{
	"tcp-ut": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}, "mss": {unix.IPPROTO_TCP, unix.TCP_MAXSEG}, "defer-accept": {unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT}, "tfo": {unix.IPPROTO_TCP, unix.TCP_FASTOPEN},
	"tfo-connect": {unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT}, "transparent": {unix.IPPROTO_IP, unix.IP_TRANSPARENT}, "v6only": {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
	"tos": {unix.IPPROTO_IP, unix.IP_TOS}, "mark": {unix.SOL_SOCKET, unix.SO_MARK},
	"tcpka": {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, "cnt": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT}, "idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, "intvl": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
}

// sockets calls look with a descriptor of each TCP socket of the worker that serves, and with its addresses, until look is content.
func (s *subject) sockets(look func(fd int, own, peer string) (found bool)) {
	s.t.Helper()
	pid, _, err := s.Workers()
	if err != nil {
		s.t.Fatal(err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer unix.Close(process)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		if err != nil || !strings.HasPrefix(link, "socket:") {
			continue
		}
		n, _ := strconv.Atoi(f.Name())
		fd, err := unix.PidfdGetfd(process, n, 0)
		if err != nil {
			continue // it is closed by now, or nobody may have it, which shows as nothing is found
		}
		own, peer := endpoints(fd)
		found := own != "" && look(fd, own, peer)
		unix.Close(fd)
		if found {
			return
		}
	}
}

// endpoints are the addresses of a TCP socket.
func endpoints(fd int) (own, peer string) {
	text := func(sa unix.Sockaddr, err error) string {
		switch a := sa.(type) {
		case *unix.SockaddrInet4:
			return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
		case *unix.SockaddrInet6:
			return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
		}
		return ""
	}
	return text(unix.Getsockname(fd)), text(unix.Getpeername(fd))
}

// options waits for a socket with these addresses ("" is any) and says what it has of the words.
func (s *subject) options(own, peer, words string) (text string) {
	s.t.Helper()
	wait.Until(s.t, fmt.Sprintf("%s to have a socket %s-%s", s.name, own, peer), func() bool {
		s.sockets(func(fd int, at, to string) bool {
			if own != "" && at != own || own != "" && peer == "" && to != "" || peer != "" && to != peer {
				return false
			}
			text = s.mask(fmt.Sprintf("%s-%s:", own, peer))
			for _, w := range strings.Fields(words) {
				text += " " + w + "="
				switch option, known := socketWords[w]; {
				case known:
					n, err := unix.GetsockoptInt(fd, option[0], option[1])
					text += fmt.Sprint(n)
					if err != nil {
						text += err.Error()
					}
				case w == "interface":
					name, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
					if text += name; err != nil {
						text += err.Error()
					}
				case w == "backlog": // of a listening socket this field has it
					info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
					if err != nil {
						s.t.Fatal(err)
					}
					text += fmt.Sprint(info.Sacked)
				case w == "source":
					host, _, _ := net.SplitHostPort(at)
					text += host
				}
			}
			return true
		})
		return text != ""
	})
	return text
}

// TestSocketOptions: what bind, server and proxy lines say of sockets is what the kernel knows of the listening ones, of those of clients and of those to
// servers; and a unix socket belongs to whom its line names.
func TestSocketOptions(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	plain := " transparent "
	if os.Geteuid() == 0 { // whoever is not root may not
		plain = " never "
	}
	names := strings.NewReplacer("USER", me.Username, "GROUP", group.Name, "UID", me.Uid, "GID", me.Gid, plain, " ")
	theirs, ours := both(t, preface("", "LINE %ST")+names.Replace(`
frontend tuned
  bind HTTP2 defer-accept tfo mss 1000 tcp-ut 7s backlog 77 interface lo
  bind HTTP3 transparent mss 1001
  bind unix@DIR/named.sock user USER group GROUP mode 640
  bind unix@DIR/numbered.sock uid UID gid GID mode 606
  default_backend be
frontend queue
  bind HTTP4
  backlog 99
  option clitcpka
  clitcpka-cnt 3
  clitcpka-idle 11s
  clitcpka-intvl 12
  default_backend be
frontend fe
  bind HTTP
  default_backend be
backend be
  option srvtcpka
  srvtcpka-cnt 4
  srvtcpka-idle 13s
  srvtcpka-intvl 14
  server s1 S1 tcp-ut 8s source 127.91.18.7 interface lo no-tfo
listen both
  bind HTTP5
  option tcpka
  server s2 S2
`), nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5"} {
			got = append(got, s.options(s.fill(name), "", "mss defer-accept tfo tcp-ut transparent interface"))
		}
		got = append(got, s.options(s.fill("HTTP2"), "", "backlog"), s.options(s.fill("HTTP4"), "", "backlog"))
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5"} {
			c := s.dial(s.fill(name))
			got = append(got, c.do(request("/headers")))
			client := c.LocalAddr().String() // another connection may have had it, to another port
			got = append(got, strings.ReplaceAll(s.options(s.fill(name), client, "tcpka cnt idle intvl tcp-ut"), client, "CLIENT-OF-"+name))
		}
		got = append(got, s.options("", s.fill("S1"), "tcpka cnt idle intvl tcp-ut tfo-connect interface source"), s.options("", s.fill("S2"), "tcpka tcp-ut tfo-connect interface"))
		for _, name := range []string{"named", "numbered"} {
			info, err := os.Stat(fmt.Sprintf("%s/%s.sock", s.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			st := info.Sys().(*syscall.Stat_t)
			got = append(got, fmt.Sprintf("%s: %v %v %v", name, info.Mode(), fmt.Sprint(st.Uid) == me.Uid, fmt.Sprint(st.Gid) == me.Gid))
		}
		return got
	}
	same(t, "socket", seen(theirs, drive), drive(ours))
}
