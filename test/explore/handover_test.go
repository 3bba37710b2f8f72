package explore

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// run explores one world.
func run(w world, canary, kept bool) outcome {
	return explore(model[state]{first: w.start(canary, kept), next: w.next, check: w.check})
}

// TestHandover explores two reloads in a row, and a trial with the reload after it, whole: with up to one process killed at whatever moment. In the short
// form the reload after a trial is that of another master only.
func TestHandover(t *testing.T) {
	long := os.Getenv("LB_LONG") != ""
	row := func(canary, kept bool) {
		t.Run(fmt.Sprintf("canary %v kept %v", canary, kept), func(t *testing.T) {
			o := run(world{most: 1, once: canary && !long}, canary, kept)
			t.Logf("%d states, %d of them ends", o.states, o.ends)
			if o.err != nil {
				t.Error(o.err)
			}
		})
	}
	row(false, false)
	row(true, false)
	if long {
		row(false, true)
		row(true, true)
	}
}

// TestPlantedErrors: an exploration that finds nothing would find these.
func TestPlantedErrors(t *testing.T) {
	row := func(f fault, name string, canary bool, most int8, quiet bool, want string) {
		t.Run(name, func(t *testing.T) {
			o := run(world{fault: f, most: most, once: canary, quiet: quiet}, canary, false)
			if o.err == nil || !strings.Contains(o.err.Error(), want) {
				t.Fatalf("%d states, and found is %v; want %q", o.states, o.err, want)
			}
			t.Logf("state %d: %v", o.states, o.err)
		})
	}
	row(startsUnsaid, "a receiver that starts before it has said so", false, 1, false, "another one has read from")
	row(readsOnAfterPacking, "a sender that reads on", false, 0, false, "two workers read")
	row(closesUnderTheTrial, "a new successor closes the connection under a batch", true, 1, false, "read from")
	row(keepsTheTrial, "a trial that nobody ends", true, 1, true, "not what has happened")
	row(countsPassedTwice, "a count that is passed on and kept", false, 0, false, "not what has happened")
	row(flightsAtOnce, "a record from before the receiver has begun", false, 1, false, "two lines")
	row(servesWhatIsStuck, "a receiver that is given up and goes on", true, 0, false, "read from")
	row(refusesSilently, "an acknowledgement that is dropped", false, 0, false, "never leaves")
	row(forgetsTheLastCounts, "last counts that are not sent", false, 0, false, "not what has happened")
	row(promotesUnsaid, "a promotion that only the master knows of", true, 1, true, "not what has happened")
	row(drainsBeforePromoting, "a worker drained before the next one accepts", true, 1, false, "nobody accepts")
}
