package assemble

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The servers that checks and agents meet.

// peer answers every connection with serve, on a loopback port.
func peer(t *testing.T, serve func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// talks says hello, then answers each read with the next answer, and waits for
// the other side to close.
func talks(hello string, answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, hello)
		buf := make([]byte, 4096)
		for _, a := range answers {
			if _, err := c.Read(buf); err != nil {
				return
			}
			io.WriteString(c, a)
		}
		io.Copy(io.Discard, c)
	}
}

// shuts sends text and ends the connection.
func shuts(text string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, text)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}
}

// spopFrame is one frame of an agent: its kind, flags, stream and frame, and what it carries.
func spopFrame(kind byte, payload string) string {
	frame := string([]byte{kind, 0, 0, 0, 1, 0, 0}) + payload
	return string([]byte{0, 0, 0, byte(len(frame))}) + frame
}

func answers(text string) func(net.Conn) {
	return func(c net.Conn) {
		rd := bufio.NewReader(c)
		for {
			line, err := rd.ReadString('\n')
			if err != nil {
				return
			}
			if strings.TrimSpace(line) == "" {
				break
			}
		}
		io.WriteString(c, text)
	}
}

// peerFull is an address where the queue is full, so that no connection is ever
// made.
func peerFull(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
	for range 4 {
		if c, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return address
}

// peerGone is an address where nobody listens, nor will until the test ends:
// it is bound.
func peerGone(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// greeted answers a check 200 if it begins as wanted, and 500 otherwise.
func greeted(begin string) func(net.Conn) {
	return func(c net.Conn) {
		rd := bufio.NewReader(c)
		status := "500 no"
		if head, _ := rd.Peek(len(begin)); string(head) == begin {
			status = "200 yes"
		}
		for {
			if line, err := rd.ReadString('\n'); err != nil || strings.TrimSpace(line) == "" {
				break
			}
		}
		io.WriteString(c, "HTTP/1.0 "+status+"\r\n\r\n")
	}
}

// speaking is a server whose status says in which protocol it was asked: what TLS agreed on, and the version of HTTP.
func speaking(t *testing.T, secure bool) string {
	t.Helper()
	said := []string{" HTTP/1.0", "http/1.1 HTTP/1.0", "h2 HTTP/2.0", "other HTTP/1.0", "plain HTTP/1.0", "plain HTTP/2.0"}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agreed := "plain"
		if r.TLS != nil {
			agreed = r.TLS.NegotiatedProtocol
		}
		w.WriteHeader(210 + slices.Index(said, agreed+" "+r.Proto))
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if s.EnableHTTP2 = true; secure {
		s.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1", "http/1.0", "other"}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
