package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestCoalescer has many ask while one is served: together they get one more round, which began after they had asked.
func TestCoalescer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns coalescer
		var tasks sync.WaitGroup
		var rounds atomic.Int32
		gate := make(chan struct{})
		do := func() ([]string, error) {
			n := rounds.Add(1)
			<-gate
			return []string{fmt.Sprint(n)}, nil
		}
		var mu sync.Mutex
		var got []string
		ask := func(ctx context.Context, key string) {
			tasks.Go(func() {
				lines, err := turns.do(ctx, key, tasks.Go, do)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					lines = []string{err.Error()}
				}
				got = append(got, key+lines[0])
			})
		}
		ask(t.Context(), "a")
		synctest.Wait()
		for range 20 {
			ask(t.Context(), "a")
		}
		hasty, cancel := context.WithCancelCause(t.Context())
		ask(hasty, "a")
		ask(t.Context(), "b") // another key does not wait
		synctest.Wait()
		cancel(errors.New("no time"))
		synctest.Wait()
		if n := rounds.Load(); n != 2 || len(got) != 1 || got[0] != "aa is not done yet: context canceled" {
			t.Errorf("%d rounds have begun, and there are the answers %q", n, got)
		}
		close(gate)
		tasks.Wait()
		slices.Sort(got)
		if n := rounds.Load(); n != 3 || len(got) != 23 || got[0] != "a1" || got[1] != "a3" || got[20] != "a3" || got[22] != "b2" {
			t.Errorf("%d rounds, answers %q", n, got)
		}
		if len(turns.keys) != 0 {
			t.Errorf("%d keys are left", len(turns.keys))
		}
	})
}

func TestCoalescerTellsErrorsToAll(t *testing.T) {
	var turns coalescer
	var tasks sync.WaitGroup
	for range 3 {
		if _, err := turns.do(t.Context(), "a", tasks.Go, func() ([]string, error) { return nil, errors.New("no") }); err == nil || err.Error() != "no" {
			t.Errorf("got %v", err)
		}
	}
	tasks.Wait()
}
