package receive

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/relp"
)

// FuzzRELP holds that whatever a client sends, in pieces of whatever size: each message has its response with its own number and there is no response
// without a command, numbers go up by one, nothing is taken after an error or before the session is open, and no more is kept than a frame.
func FuzzRELP(f *testing.F) {
	for _, seed := range []string{
		openFrame + "2 syslog 6 <13>on\n3 syslog 0\n4 close 0\n", openFrame + "2 open 0\n3 syslog 1 x\n", "1 syslog 1 x\n", openFrame + "3 syslog 1 x\n", openFrame + openFrame,
		openFrame + "2 starttls 0\n3 syslog 1 x\n", "0 serverclose 0\n" + openFrame, openFrame + "2 syslog 40 " + strings.Repeat("y", 40) + "\n3 syslog 1 x", "1 open 0\n2 syslog 1 x\n",
		openFrame + "2 rsp 6 200 OK\n", openFrame + "2 close 0\n3 syslog 1 x\n",
	} {
		f.Add([]byte(seed), 7)
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		if piece <= 0 || piece > 1<<20 {
			piece = 1
		}
		const size = 32
		k := new(keeper)
		c := &connection{stream: &Stream{Size: size}, from: NewSender(netip.Addr{}), handler: k}
		c.dialog = &dialog{parser: relp.Parser{Keep: size, Most: 4 * size}, next: 1, offered: -1, began: time.Now()}
		d := c.dialog
		var rest []byte
		var err error
		for len(sent) > 0 && err == nil {
			n := min(piece, len(sent))
			rest, err = c.takeFrames(append(rest, sent[:n]...))
			sent = sent[n:]
			if len(rest) > relp.MaxHeader+size+1 {
				t.Fatalf("%d bytes are kept", len(rest))
			}
		}
		p := relp.Parser{Keep: 1000, Most: 1000}
		commands, taken := 0, 0
		for answers := d.answers; len(answers) > 0; {
			frame, n, whole, err := p.Next(answers)
			if err != nil || !whole {
				t.Fatalf("the answers read %q: %v", answers, err)
			}
			answers = answers[n:]
			if frame.Is("serverclose") {
				if len(answers) > 0 {
					t.Fatalf("after the end comes %q", answers)
				}
				break
			}
			commands++
			code, reason, _, err := relp.ParseResponse(frame.Data)
			if err != nil || frame.Number != commands {
				t.Fatalf("response %d has number %d: %v", commands, frame.Number, err)
			}
			if code == relp.OK && string(reason) == "OK" {
				taken++
			}
		}
		if d.offered >= 0 {
			taken-- // the session itself
		}
		if d.closed {
			taken--
		}
		if commands != d.next-1 && err == nil || taken != len(k.texts) || d.messages != uint64(len(k.texts)) || d.offered < 0 && taken > 0 {
			t.Fatalf("%d responses, the next command is %d, %d messages of which %d are answered, %v", commands, d.next, len(k.texts), taken, err)
		}
	})
}
