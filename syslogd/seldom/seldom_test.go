package seldom

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards said
		var said []string
		begin := time.Now()
		s := Report{}
		s.Say = func(n int, why error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf("%v: %d %v", time.Since(begin), n, why))
		}
		for i := range 44 {
			s.Note(fmt.Errorf("number %d", i))
		}
		time.Sleep(firstPeriod + time.Second)
		s.Note(errors.New("again"))
		time.Sleep(4*firstPeriod - time.Second)
		s.Note(errors.New("later"))
		s.Note(errors.New("at the end"))
		s.Stop()
		want := []string{"0s: 1 number 0", "10s: 43 number 43", "30s: 1 again", "50s: 2 at the end"}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if !reflect.DeepEqual(said, want) {
			t.Errorf("said %q; want %q", said, want)
		}
	})
}
