package h2client

import (
	"slices"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/wire"
)

const (
	maxStreams    = 100       // at once, whatever the server would take
	window        = 16 << 10  // bytes of an answer that a server may send in any case
	usualWindow   = 64 << 10  // while the budget has room
	wideWindow    = 512 << 10 // of an answer that is being read, the same
	maxWide       = 8         // answers of a connection at once that have it
	maxBlock      = 32 << 10  // of a field block, as it is sent
	maxOut        = 64 << 10  // bytes of frames that may wait for the server before streams wait
	maxTurns      = 8         // buffers that are read before others have their turn
	connWindow    = 16 << 20  // what streams hold is bounded by their own windows
	enoughStreams = 1 << 30   // after which a connection takes no more
)

// idleTerms are for frames that move nothing.
var idleTerms = http2.Terms{Burst: 4000, Rate: 4000, Worth: http2.WorthIdle, Bank: 16_000}

// Host is what a connection is part of.
type Host interface {
	// Touch has Flush be called at the end of the turn.
	Touch(c *Conn)
	// TakeOut gives a buffer for frames, PutOut takes it back.
	TakeOut() []byte
	PutOut([]byte)
	// Hold counts n bytes more that are held for peers, or fewer.
	Hold(n int)
	// Room counts up to n bytes more and says how many, if the part of the
	// budget that such may use, in quarters, has them.
	Room(n int, quarters int64) int
	// Ended says that the connection is over: its socket is to be closed.
	Ended(c *Conn)
}

// Options is what New needs.
type Options struct {
	Wire  *wire.Conn // the connection, which stands
	Loop  *loop.Loop
	Host  Host
	Head  *http1.Head  // scratch
	Count *stats.HTTP2 // of the backend; nil: nobody looks
	// Again is called by the loop when Pump is to go on.
	Again loop.Handler
}

// Conn is one HTTP/2 connection to a server.
type Conn struct {
	Options
	dec     *http2.AnswerDecoder
	enc     *http2.Encoder
	streams map[uint32]*Stream
	ended   [16]uint32 // streams that the server ended last, and we too
	endings int
	open    int    // streams, with those that have sent nothing yet
	nextID  uint32 // of the next request

	peer    http2.Peer
	goneID  uint32
	leaving bool // no new streams: GOAWAY came, or we leave
	dead    bool
	reason  string // why
	pinged  bool   // a PING of ours is unanswered
	pumping bool

	in    *loop.Buffer
	rest  []byte // of a frame that is not complete, while no buffer is held
	frame http2.Reader

	out   []byte // nil while nothing is to be sent
	sent  int64  // bytes of frames that left out so far
	held  bool   // not read from, because out is full
	wait  []*Stream
	fed   []*Stream
	send  http2.SendWindow
	recv  http2.RecvWindow
	grown bool // recv has the size of connWindow
	wide  int  // streams with a wide window

	moved int64 // bytes of bodies, both ways, and what their frames are worth
	idles http2.Allowance
}

// New says hello to the server. Requests follow its SETTINGS, as those of HAProxy do: before, nobody knows how many it takes.
func New(o Options) *Conn {
	if o.Count == nil {
		o.Count = new(stats.HTTP2)
	}
	c := &Conn{
		Options: o, dec: http2.NewAnswerDecoder(), enc: http2.NewEncoder(), streams: map[uint32]*Stream{},
		nextID: 1, goneID: http2.LastStream, peer: http2.NewPeer(), frame: http2.Reader{MaxBlock: maxBlock, Count: (*http2.Frames)(&o.Count.Frames)},
		send: http2.DefaultWindow, recv: http2.RecvWindow{Left: http2.DefaultWindow},
	}
	c.touch()
	c.out = append(c.out, http2.Preface...)
	c.out = http2.AppendSettings(c.out,
		http2.Setting{ID: http2.EnablePush, Value: 0},
		http2.Setting{ID: http2.InitialWindowSize, Value: window},
		http2.Setting{ID: http2.MaxHeaderListSize, Value: http2.MaxFields})
	return c
}

// Streams is how many are open.
func (c *Conn) Streams() int { return c.open }

// Available reports whether another stream may be opened.
func (c *Conn) Available() bool {
	return !c.dead && !c.leaving && !c.pinged && c.open < int(min(c.peer.MaxStreams, maxStreams)) && c.nextID < enoughStreams
}

// Over reports whether nothing can be done with the connection any more but to
// close it.
func (c *Conn) Over() bool { return c.dead }

// Leaving reports whether the connection takes no more streams, ever.
func (c *Conn) Leaving() bool { return c.dead || c.leaving || c.nextID >= enoughStreams }

// Reason is why the connection ended; "" while it stands.
func (c *Conn) Reason() string { return c.reason }

// Leave ends the connection politely: streams that are open go on.
func (c *Conn) Leave() {
	if c.leaving || c.dead {
		return
	}
	c.leaving = true
	c.goAway(http2.NoError, "")
}

// aliveness is the payload of our PING.
var aliveness = [8]byte{'l', 'b', ' ', 'a', 'l', 'i', 'v', 'e'}

// Doubt asks the server whether it is still there; until it answers, no stream
// is opened.
func (c *Conn) Doubt() {
	if c.pinged || c.dead {
		return
	}
	c.pinged = true
	c.touch()
	c.out = http2.AppendPing(c.out, 0, aliveness)
}

// Doubted reports whether the server has not answered yet.
func (c *Conn) Doubted() bool { return c.pinged && !c.dead }

// touch prepares out for being appended to, and has it flushed.
func (c *Conn) touch() {
	if c.out == nil {
		c.out = c.Host.TakeOut()
	}
	c.Host.Touch(c)
}

// Flush sends what was written.
func (c *Conn) Flush() {
	if c.dead {
		return
	}
	if !c.write() {
		c.Host.PutOut(c.out[:0])
		c.out = nil
		c.Pump() // what it said before is still to be read
		c.Lose("the connection to the server was lost")
		return
	}
	if len(c.out) < maxOut && (c.held || c.hasReady()) {
		c.Loop.Again(c.Again)
	}
}

// write gives out to the connection; false when that is gone.
func (c *Conn) write() bool {
	for len(c.out) > 0 {
		n, st := c.Wire.Write(c.out)
		switch st {
		case wire.Again:
			return true
		case wire.Error:
			return false
		}
		c.sent += int64(n)
		c.out = append(c.out[:0], c.out[n:]...)
	}
	if c.out != nil {
		c.Host.PutOut(c.out)
		c.out = nil
	}
	return true
}

// Pump reads frames and goes on with what waits.
func (c *Conn) Pump() {
	if c.pumping { // a stream's user has come back to its own connection
		return
	}
	c.pumping = true
	defer func() { c.pumping = false }()
	if len(c.out) > 0 {
		c.touch()
	}
	for range maxTurns {
		if c.dead {
			return
		}
		if c.in != nil {
			e := c.frames()
			c.feed()
			switch {
			case c.dead:
				return
			case e != nil:
				c.fail(e)
				return
			}
		}
		c.resume()
		if c.held = len(c.out) >= maxOut; c.held { // a server that does not read is not read from
			return
		}
		if c.in == nil {
			c.in = c.Loop.Buffers.Get()
			c.in.W = copy(c.in.Data[:], c.rest)
			c.rest = c.rest[:0]
		}
		if len(c.in.Space()) == 0 || c.in.R > len(c.in.Data)/2 {
			c.in.Compact()
		}
		n, st := c.Wire.Read(c.in.Space())
		switch st {
		case wire.Again:
			if c.rest = append(c.rest[:0], c.in.Bytes()...); len(c.rest) == 0 {
				c.rest = nil
			}
			c.putIn()
			return
		case wire.EOF, wire.Error:
			c.Lose("the server closed the connection")
			return
		}
		c.in.W += n
	}
	c.Loop.Again(c.Again)
}

func (c *Conn) putIn() {
	if c.in != nil {
		c.Loop.Buffers.Put(c.in)
		c.in = nil
	}
}

// waitFor puts s in line for window, or for room in out.
func (c *Conn) waitFor(s *Stream) {
	if !s.waiting {
		s.waiting = true
		c.wait = append(c.wait, s)
	}
}

func (c *Conn) unwait(s *Stream) {
	if s.waiting {
		s.waiting = false
		c.wait = slices.DeleteFunc(c.wait, func(other *Stream) bool { return other == s })
	}
}

// hasReady reports whether a stream in line could go on.
func (c *Conn) hasReady() bool {
	for _, s := range c.wait {
		if s.mayGoOn() {
			return true
		}
	}
	return false
}

// resume lets streams in line go on, each for one frame's worth before the next
// has its turn.
func (c *Conn) resume() {
	for n := len(c.wait); n > 0 && len(c.wait) > 0 && len(c.out) < maxOut && !c.dead; n-- {
		s := c.wait[0]
		c.unwait(s)
		if s.mayGoOn() {
			s.user.Wake()
		} else {
			c.waitFor(s)
		}
	}
}

// feed wakes the users of streams that something came for.
func (c *Conn) feed() {
	for i := 0; i < len(c.fed); i++ { // waking one may feed another
		s := c.fed[i]
		c.fed[i] = nil
		if s.fed = false; !s.closed {
			s.user.Wake()
		}
	}
	c.fed = c.fed[:0]
}

func (c *Conn) feedLater(s *Stream) {
	if !s.fed {
		s.fed = true
		c.fed = append(c.fed, s)
	}
}

// goAway tells the server that no more streams will be opened.
func (c *Conn) goAway(code http2.Code, text string) {
	c.Count.GoAways++
	c.touch()
	c.out = http2.AppendGoAway(c.out, 0, code, text)
}

// fail ends the connection for an error of the server's, and tells it why.
func (c *Conn) fail(e *http2.Error) {
	c.Count.ConnErrors++
	c.goAway(e.Code, e.Text)
	c.write()
	c.Lose(e.Text)
}

// Lose ends the connection and all of its streams, for a reason.
func (c *Conn) Lose(reason string) {
	if c.dead {
		return
	}
	c.dead, c.reason = true, reason
	c.putIn()
	if c.out != nil {
		c.Host.PutOut(c.out[:0])
		c.out = nil
	}
	for _, s := range c.streams {
		s.lost(s.id > c.goneID || s.headAt >= c.sent, reason)
	}
	for _, s := range c.wait { // with those that have no number yet
		s.waiting = false
		s.lost(s.id == 0 || s.unseen, reason)
	}
	c.wait = nil
	c.feed()
	c.Host.Ended(c)
}

// nothing counts a frame that moves nothing.
func (c *Conn) nothing() *http2.Error {
	if !c.idles.Spend(idleTerms, c.Loop.Now(), c.moved) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too many frames without content"}
	}
	return nil
}

// paced reports whether a PING that comes now is one of a server that waits for
// the answers, while it has requests: no flood.
func (c *Conn) paced() bool {
	return len(c.streams) > 0 && c.idles.Spent > idleTerms.Burst/2 && len(c.out)+loop.Unacknowledged(c.Wire.FD()) <= http2.KeptUp
}

// moves counts n bytes of a body, of either side.
func (c *Conn) moves(n int) { c.moved += int64(n) + http2.WorthOfData }
