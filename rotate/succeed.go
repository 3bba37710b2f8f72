package rotate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A program changes how a file is kept by opening it anew, with other Options, before it closes the Writer that it had: so no line has
// to wait, and a mistake costs nothing. Meanwhile both append, and nobody renames, compresses or removes: the first Writer leaves that
// from the moment when the second is opened, and the second begins with it when the first is closed. Else one of them would compress
// what the other still writes to.

// tenures knows who came last to a path, which only the package can. mu guards last.
//
// Lock order: tenures.mu before Writer.mu.
var tenures struct {
	mu   sync.Mutex
	last map[string]*Writer
}

// succeed makes w the one that has its path, from the time when whoever has it now is closed. Called by Open.
func (w *Writer) succeed() {
	tenures.mu.Lock()
	defer tenures.mu.Unlock()
	if tenures.last == nil {
		tenures.last = make(map[string]*Writer)
	}
	if before := tenures.last[w.path]; before != nil {
		before.mu.Lock() // a rotation that is under way ends first
		before.succeeded = true
		before.mu.Unlock()
		w.before = before
	}
	tenures.last[w.path] = w
}

// leave gives the path to whoever succeeds, or back to the one before if that is still there. Called when w is closed.
func (w *Writer) leave() {
	tenures.mu.Lock()
	defer tenures.mu.Unlock()
	w.left = true
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if tenures.last[w.path] == w {
		delete(tenures.last, w.path)
		heir := before
		for heir != nil && heir.left {
			heir.mu.Lock()
			older := heir.before
			heir.mu.Unlock()
			heir = older
		}
		if heir != nil {
			tenures.last[w.path] = heir
			heir.mu.Lock()
			heir.succeeded = false
			heir.mu.Unlock()
			heir.kick()
		}
	}
	if before == nil || isClosed(before.gone) {
		close(w.gone)
		return
	}
	go func() { // the one after w waits for both
		<-before.gone
		close(w.gone)
	}()
}

func isClosed(gone chan struct{}) bool {
	select {
	case <-gone:
		return true
	default:
		return false
	}
}

// alone says whether w is the only Writer of its path, so that it may rotate. Called with mu held.
func (w *Writer) alone() bool {
	if w.before != nil && isClosed(w.before.gone) {
		w.before = nil
	}
	return w.before == nil && !w.succeeded
}

// await waits until the Writer before is closed.
func (w *Writer) await(ctx context.Context) error {
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if before == nil {
		return nil
	}
	select {
	case <-before.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: another Writer of this process has it: %w", w.path, ctx.Err())
	}
}

// successionTime is how long Rotate waits for the Writer before.
const successionTime = 10 * time.Second
