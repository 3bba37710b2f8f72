package loop

import (
	"testing"
)

func TestPoolSize(t *testing.T) {
	var p Pool
	if n := len(p.Get().Data); n != BufferSize || n != p.Size() {
		t.Errorf("a buffer holds %d bytes", n)
	}
	p = Pool{}
	p.SetSize(100_000)
	if n := len(p.Get().Data); n != 100_000 || n != p.Size() {
		t.Errorf("a buffer holds %d bytes of 100,000", n)
	}
}

func TestBuffer(t *testing.T) {
	b := new(Pool).Get()
	b.W = copy(b.Data[:], "hello")
	b.R = 2
	if string(b.Bytes()) != "llo" || b.Len() != 3 || len(b.Space()) != BufferSize-5 {
		t.Errorf("%q, %d unread, %d free", b.Bytes(), b.Len(), len(b.Space()))
	}
	b.Compact()
	if string(b.Bytes()) != "llo" || b.R != 0 || len(b.Space()) != BufferSize-3 {
		t.Errorf("compacted: %q, %d free", b.Bytes(), len(b.Space()))
	}
	b.Reset()
	if b.Len() != 0 || len(b.Space()) != BufferSize {
		t.Error("reset: not empty")
	}
}

func TestPoolGivesTheLatestBack(t *testing.T) {
	var p Pool
	a, b := p.Get(), p.Get()
	if a == b {
		t.Fatal("one buffer twice")
	}
	b.R, b.W = 3, 9
	p.Put(a)
	p.Put(b)
	if got := p.Get(); got != b || got.Len() != 0 {
		t.Error("not the one that was put back last, empty")
	}
	if got := p.Get(); got != a {
		t.Error("not the one before")
	}
}

// TestPoolTrim: what a burst needed leaves in two trims, what is needed over
// and over stays.
func TestPoolTrim(t *testing.T) {
	var p Pool
	use := func(n int) {
		var held []*Buffer
		for range n {
			held = append(held, p.Get())
		}
		for _, b := range held {
			p.Put(b)
		}
	}
	kept := func() (n int) {
		for b := p.free; b != nil; b = b.next {
			n++
		}
		if n != p.count {
			t.Errorf("%d buffers, %d counted", n, p.count)
		}
		return n
	}
	use(100)
	p.Trim()
	if n := kept(); n != 100 {
		t.Errorf("%d kept right after they were needed", n)
	}
	use(10)
	p.Trim()
	if n := kept(); n != 10 {
		t.Errorf("%d kept, where 10 were needed", n)
	}
	use(10)
	p.Trim()
	if n := kept(); n != 10 {
		t.Errorf("%d kept, where 10 are needed over and over", n)
	}
	p.Trim()
	p.Trim()
	if n := kept(); n != 0 {
		t.Errorf("%d kept, where none are needed", n)
	}
	use(1)
}
