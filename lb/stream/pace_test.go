package stream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	var none *Pace
	none.count()
	synctest.Test(t, func(t *testing.T) {
		p := NewPace()
		for range 4 {
			p.count()
		}
		if n := p.Value(); n != 4 {
			t.Errorf("%d in this second", n)
		}
		time.Sleep(1500 * time.Millisecond)
		if n := p.Value(); n != 2 {
			t.Errorf("%d half a second after that", n)
		}
		time.Sleep(time.Second)
		if n := p.Value(); n != 0 {
			t.Errorf("%d when all of it is over", n)
		}
	})
	p := NewPace()
	if n := testing.AllocsPerRun(100, p.count); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
