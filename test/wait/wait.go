// Package wait waits in tests for what is to become true, as a sleep cannot.
package wait

import (
	"testing"
	"time"
)

// patience is how long a test waits for a condition: long, since it is only used up by a test that fails.
const patience = time.Minute

// Until waits until ok says true, and fails the test when that takes too long. what completes the sentence "waited 1m0s for ...".
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
