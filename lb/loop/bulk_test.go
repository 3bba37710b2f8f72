package loop

import "testing"

// TestBulkIsBounded: a loop lends no more than maxBulk large buffers, and buffers of both sizes find back to where they belong.
func TestBulkIsBounded(t *testing.T) {
	l := new(Loop)
	var lent []*Buffer
	for b := l.Bulk.Get(); b != nil; b = l.Bulk.Get() {
		if lent = append(lent, b); len(b.Data) != BulkSize {
			t.Fatalf("a buffer of %d bytes", len(b.Data))
		}
	}
	if len(lent) != maxBulk {
		t.Errorf("%d large buffers were lent", len(lent))
	}
	usual := l.Buffers.Get()
	l.Put(usual)
	if l.Buffers.count != 1 || l.Bulk.lent != maxBulk {
		t.Errorf("after a usual one was given back: %d of those, %d large ones lent", l.Buffers.count, l.Bulk.lent)
	}
	for _, b := range lent {
		l.Put(b)
	}
	if l.Bulk.lent != 0 || l.Bulk.pool.count != maxBulk || l.Buffers.count != 1 {
		t.Errorf("after all were given back: %d lent, %d large ones, %d usual ones", l.Bulk.lent, l.Bulk.pool.count, l.Buffers.count)
	}
	if allocs := testing.AllocsPerRun(100, func() { l.Put(l.Bulk.Get()) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	l.Bulk.Trim()
	l.Bulk.Trim()
	if l.Bulk.pool.count != 0 {
		t.Errorf("%d large buffers are kept that nobody needs", l.Bulk.pool.count)
	}
}
