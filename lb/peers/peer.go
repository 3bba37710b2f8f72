package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// keep has a connection to the peer made whenever there is none, until the section
// ends.
func (p *Peer) keep() {
	s := p.section
	for s.ctx.Err() == nil {
		s.mu.Lock()
		busy, changed, wait := p.session != nil, p.changed, time.Until(p.next)
		s.mu.Unlock()
		switch {
		case busy:
			select {
			case <-changed:
			case <-s.ctx.Done():
			}
		case wait > 0:
			select {
			case <-time.After(wait):
			case <-s.ctx.Done():
			}
		default:
			p.dial()
		}
	}
}

// dial makes a connection, and serves it to its end.
func (p *Peer) dial() {
	s := p.section
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	if p.session != nil { // it has dialled just now
		s.mu.Unlock()
		return
	}
	p.dialling, p.cutDial, p.status = true, cancel, statusDialling
	minor := 1
	if p.old {
		minor = 0
	}
	s.mu.Unlock()
	p.conns.Add(1)
	conn, r, status, err := p.greet(ctx, minor)
	s.mu.Lock()
	p.dialling = false
	if status != 0 {
		p.status, p.greeted = status, time.Now()
	}
	switch {
	case err == nil && status == statusOK && p.session == nil && ctx.Err() == nil:
	case err == nil && status == statusVersion:
		p.old = !p.old
		fallthrough
	default:
		if conn != nil {
			conn.Close()
		}
		crossed := ctx.Err() != nil
		if !crossed {
			p.again(true)
		} else if next := time.Now().Add(firstWait + rand.N(waitSpread)); next.After(p.next) {
			p.next = next // the other connection decides, whether it is there or has ended already
		}
		s.mu.Unlock()
		switch {
		case crossed:
		case err != nil:
			p.tell(true, "cannot be reached: "+err.Error())
		default:
			text := statusTexts[status]
			if text == "" {
				text = "status " + strconv.Itoa(status)
			}
			p.tell(status != statusLater && status != statusVersion, "refuses a connection: "+text)
		}
		return
	}
	one := newSession(p, conn, r, minor)
	p.session = one
	s.mu.Unlock()
	one.run()
}

// greet dials and says hello; status is the answer. conn is to be closed by the
// caller, if there is one.
func (p *Peer) greet(ctx context.Context, minor int) (conn net.Conn, r *bufio.Reader, status int, err error) {
	s := p.section
	dialled, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err = p.Dial(dialled)
	if err != nil {
		return nil, nil, 0, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn.SetDeadline(time.Now().Add(dialTime))
	s.mu.Lock()
	p.status = statusAsked
	s.mu.Unlock()
	r = bufio.NewReaderSize(conn, readBuffer)
	if _, err = conn.Write(appendHello(nil, minor, p.Name, s.Self, s.Pid)); err != nil {
		return conn, r, 0, err
	}
	line, err := readLine(r)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the connection was closed without an answer")
		}
		return conn, r, 0, err
	}
	status, err = strconv.Atoi(line)
	if err != nil || status < 100 || status > 999 {
		return conn, r, 0, fmt.Errorf("%.20q is no answer to a hello", line)
	}
	return conn, r, status, nil
}

// welcome reads the hello of whoever has connected, and serves the connection.
func (s *Section) welcome(conn net.Conn) {
	known := false
	defer func() {
		if !known {
			<-s.strangers
		}
	}()
	stop := context.AfterFunc(s.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	conn.SetDeadline(time.Now().Add(dialTime))
	r := bufio.NewReaderSize(conn, readBuffer)
	from, minor, status, err := readHello(r, s.Self)
	if err != nil {
		stop()
		conn.Close()
		return
	}
	var p *Peer
	if status == statusOK {
		if p = s.peer(from); p == nil {
			status = statusPeer
		}
	}
	var before *session
	if p != nil {
		s.mu.Lock()
		switch {
		case s.ctx.Err() != nil || p.failures > 0 && p.bad && time.Now().Before(p.next):
			status = statusLater
		case p.dialling && s.Self < p.Name:
			// Both have dialled. One of the two connections has to go, the same for both.
			status = statusLater
			p.crossed.Add(1)
		case p.dialling:
			p.cutDial()
			p.crossed.Add(1)
		case p.session != nil: // the peer knows better: that connection is dead
			before = p.session
			p.crossed.Add(1)
		}
		s.mu.Unlock()
	}
	if before != nil {
		before.end(errReplaced)
		<-before.ended
	}
	if status != statusOK {
		stop()
		_, _ = fmt.Fprintf(conn, "%d\n", status) // whoever is gone need not know
		conn.Close()
		return
	}
	known = true
	<-s.strangers
	if _, err := fmt.Fprintf(conn, "%d\n", status); err != nil {
		stop()
		conn.Close()
		return
	}
	stop()
	s.mu.Lock()
	if p.session != nil || s.ctx.Err() != nil { // another one was faster
		s.mu.Unlock()
		conn.Close()
		return
	}
	p.conns.Add(1)
	p.status, p.greeted, p.old = statusOK, time.Now(), minor == 0
	one := newSession(p, conn, r, minor)
	p.session = one
	s.mu.Unlock()
	one.run()
}

// peer finds a peer by its name.
func (s *Section) peer(name string) *Peer {
	for _, p := range s.Peers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// again sets when the peer is dialled next. Section.mu is held.
func (p *Peer) again(failed bool) {
	wait := firstWait + rand.N(waitSpread)
	if !failed {
		p.failures = 0
	} else {
		wait = min(wait<<min(p.failures, 4), longestWait)
		p.failures++
	}
	p.next = time.Now().Add(wait)
}

// tell reports what has become of the peer, once while it stays the same.
func (p *Peer) tell(bad bool, text string) {
	s := p.section
	s.mu.Lock()
	again := p.told == text
	p.told = text
	s.mu.Unlock()
	if !again && s.ctx.Err() == nil {
		s.report(bad, "peer "+p.Name+" "+text)
	}
}
