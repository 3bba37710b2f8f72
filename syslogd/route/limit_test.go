package route

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	senderA = netip.AddrFrom4([4]byte{192, 0, 2, 1})
	senderB = netip.AddrFrom4([4]byte{192, 0, 2, 2})
)

// passed says how many of n messages that come at one moment get through.
func passed(l *Limiter, sender netip.Addr, n int, now time.Duration) (through int) {
	for range n {
		if l.Take(sender, int64(now)) {
			through++
		}
	}
	return through
}

// TestLimits has a burst, the even rate after it, and the next burst after a while without messages.
func TestLimits(t *testing.T) {
	var l Limiter
	if n := passed(&l, senderA, 1000, 0); n != 1000 || l.Active() {
		t.Errorf("without a limit %d get through", n)
	}
	l.SetRate(Rate{PerSecond: 100, Burst: 30})
	for _, step := range []struct {
		at        time.Duration
		sender    netip.Addr
		come, get int
	}{
		{time.Second, senderA, 50, 30},
		{time.Second, senderB, 50, 30}, // an account of its own
		{time.Second + 10*time.Millisecond, senderA, 50, 1},
		{time.Second + 45*time.Millisecond, senderA, 50, 3},
		{time.Second + 50*time.Millisecond, senderA, 50, 1},
		{time.Second + 300*time.Millisecond, senderA, 20, 20},
		{time.Second + 300*time.Millisecond, senderA, 20, 5},
		{time.Hour, senderA, 50, 30},
		{time.Minute, senderA, 50, 0}, // a clock that went back
	} {
		if n := passed(&l, step.sender, step.come, step.at); n != step.get {
			t.Errorf("at %v %d of %d messages of %v get through; want %d", step.at, n, step.come, step.sender, step.get)
		}
	}
}

// TestLimitsAddUp sends ten times as much as may come for ten seconds, in batches, by several readers at once: what gets through is the rate and one
// burst, and the rest is counted for its sender.
func TestLimitsAddUp(t *testing.T) {
	var l Limiter
	l.SetRate(Rate{PerSecond: 1000, Burst: 500})
	var through [4]int
	for ms := range 10_000 {
		if ms%10 != 0 {
			continue
		}
		var readers sync.WaitGroup
		for k := range through {
			readers.Go(func() { through[k] += passed(&l, senderA, 25, time.Duration(ms)*time.Millisecond) })
		}
		readers.Wait()
	}
	sum := through[0] + through[1] + through[2] + through[3]
	if sum < 10_000 || sum > 10_000+500 {
		t.Errorf("%d messages got through; want 10,000 and a burst of 500", sum)
	}
	report := l.Report()
	if len(report) != 1 || report[0].Sender != senderA || report[0].Dropped != uint64(100_000-sum) || l.Dropped() != report[0].Dropped {
		t.Errorf("%d of 100,000 got through, and the report is %+v", sum, report)
	}
	if again := l.Report(); len(again) != 0 {
		t.Errorf("the next report is %+v", again)
	}
	if worst := l.Worst(5); len(worst) != 1 || worst[0].Dropped != l.Dropped() {
		t.Errorf("the worst are %+v", worst)
	}
}

// TestLimitsOfForgedSenders come from more addresses than there is room for. A sender that is at its limit stays there, the table stays as it
// is, and what was dropped adds up.
func TestLimitsOfForgedSenders(t *testing.T) {
	var l Limiter
	l.SetRate(Rate{PerSecond: 10, Burst: 10})
	const forged = 10 * mostBuckets
	through := passed(&l, senderA, 100, 0)
	for i := range forged {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		through += passed(&l, a, 1, time.Duration(i)*time.Microsecond)
	}
	if len(l.senders) > mostBuckets {
		t.Errorf("%d senders are remembered", len(l.senders))
	}
	if n := passed(&l, senderA, 100, forged*time.Microsecond); n > 10 {
		t.Errorf("%d messages of a sender at its limit get through after a flood", n)
	} else {
		through += n
	}
	reported := uint64(0)
	for _, who := range l.Report() {
		reported += who.Dropped
	}
	if all := uint64(200 + forged); reported != l.Dropped() || reported != all-uint64(through) {
		t.Errorf("of %d messages %d got through, %d were dropped and %d reported", all, through, l.Dropped(), reported)
	}
	if !l.sweep(int64(time.Hour)) || len(l.senders) > 0 {
		t.Errorf("%d senders are remembered an hour later", len(l.senders))
	}
}

// TestLimitsChange at a reload, both ways, for a sender that is known.
func TestLimitsChange(t *testing.T) {
	var l Limiter
	l.SetRate(Rate{PerSecond: 1, Burst: 3600})
	if n := passed(&l, senderA, 5000, 0); n != 3600 {
		t.Fatalf("%d", n)
	}
	l.SetRate(Rate{PerSecond: 1000, Burst: 1000})
	passed(&l, senderA, 1, 0)
	if n := passed(&l, senderA, 5000, 2*time.Second); n != 1000 {
		t.Errorf("two seconds after the limit was raised %d get through", n)
	}
	l.SetRate(Rate{})
	if n := passed(&l, senderA, 5000, 2*time.Second); n != 5000 {
		t.Errorf("without a limit %d get through", n)
	}
}

func TestLimitsAllocateNothing(t *testing.T) {
	var l Limiter
	l.SetRate(Rate{PerSecond: 10, Burst: 10})
	now := int64(0)
	l.Take(senderA, 0)
	if n := testing.AllocsPerRun(1000, func() { now += 1000; l.Take(senderA, now) }); n > 0 {
		t.Errorf("%v allocations for a message", n)
	}
}
