package health

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// answerSize is how much of an answer is looked at, as much as HAProxy's
// buffer holds.
const answerSize = 16 << 10

// result is what one check found.
type result struct {
	status Status
	code   int
	info   string
	orders Orders // of an agent
	took   time.Duration
}

// probe does one check of a server that is up or not. It ends by itself within
// the spec's timeouts, and soon when ctx ends; its connection is closed then.
func probe(ctx context.Context, s *Spec, up bool) result {
	begun := time.Now()
	r := ask(ctx, s, up)
	r.took = time.Since(begun)
	return r
}

func ask(ctx context.Context, s *Spec, up bool) result {
	if s.Program != nil {
		return program(ctx, s)
	}
	c := &run{ctx: ctx, spec: s, up: up}
	defer c.close()
	if s.Agent {
		return c.agent()
	}
	return c.script()
}

// connectResult names what kept a connection from being made.
func connectResult(err error) result {
	var errno syscall.Errno
	switch {
	case isTimeout(err):
		return result{status: L4TOUT}
	case errors.As(err, &errno) && (errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS):
		return result{status: SocketError, info: sentence(errno.Error())}
	case errors.As(err, &errno):
		return result{status: L4CON, info: sentence(errno.Error())}
	}
	return result{status: L4CON, info: said(err.Error())}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// sentence is the kernel's message as the C library spells it.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// said is as much of a text from the network as a Report keeps. Its bytes are as they came.
func said(s string) string {
	const most = 127 // as much as HAProxy keeps
	s, _, _ = strings.Cut(s, "\x00")
	return s[:min(len(s), most)]
}

// Printable is the text of a Report as a table of lines can show it.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '�' {
			return '?'
		}
		return r
	}, s)
}
