// Package chaos puts misbehaving clients and servers on both sides of a balancer.
//
//  1. A scene says what each side does and what the configuration asks for (scenes_test.go, messages_test.go, policies_test.go).
//  2. It is played through lb and through Debian's HAProxy at once (subject_test.go, peer_test.go).
//  3. Bytes and log lines are compared (compare_test.go).
package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// TestAsHAProxy plays every scene through lb and through HAProxy: what the
// client gets, what the server gets and what is logged must be the same, but
// where a scene says how and docs/logs.md says why.
func TestAsHAProxy(t *testing.T) {
	built, err := rig.Build(t.TempDir(), "lb")
	if err != nil {
		t.Fatal(err)
	}
	scenes := slices.Concat(aborts, timeouts, messages, policies)
	haproxy := tape.Open(t, "haproxy")
	differences := make([][]string, len(scenes))
	left := make([]int, len(scenes)) // to be played, by their numbers
	for i := range left {
		left[i] = i
	}
	// A scene is about the order of things, which it makes by waiting a little. On a machine where that was too little it is played again,
	// with less around it; what is different is so every time.
	for try := 0; try < 5 && len(left) > 0; try++ {
		var cast []scene
		for _, i := range left {
			cast = append(cast, scenes[i])
		}
		ours, theirs := playBoth(t, built.LB, haproxy, cast)
		if t.Failed() {
			return
		}
		var again []int
		for n, i := range left {
			if differences[i] = scenes[i].differences(ours[n], theirs[n]); len(differences[i]) > 0 {
				again = append(again, i)
			}
		}
		left = again
	}
	for i, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			for _, d := range differences[i] {
				t.Error(d)
			}
		})
	}
}

// playBoth plays the scenes against lb and against HAProxy, at the same time.
func playBoth(t *testing.T, lb string, haproxy *tape.Tape, scenes []scene) (ours, theirs []outcome) {
	// An address of its own keeps other tests' ports away.
	host := fmt.Sprintf("127.%d.%d.%d", 10+rand.IntN(200), rand.IntN(256), 1+rand.IntN(254))
	ports, err := rig.FreePorts(host, 2*len(scenes))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { ours = playAll(t, lb, scenes, host, ports[:len(scenes)]) })
	wg.Go(func() {
		theirs = observed(haproxy, scenes, func() []outcome {
			return playAll(t, haproxy.Program(), scenes, host, ports[len(scenes):])
		})
	})
	wg.Wait()
	return ours, theirs
}

// observed gives the outcomes of the scenes under haproxy, or what was recorded of them: text with Go's escapes, since the bytes are anything.
func observed(haproxy *tape.Tape, scenes []scene, play func() []outcome) []outcome {
	var live []outcome
	if haproxy.Live() {
		live = play()
	}
	outcomes := make([]outcome, len(scenes))
	for i, sc := range scenes {
		parts := tape.Observe(haproxy, sc.name, func() [][]string {
			o := live[i]
			return [][]string{escape(o.client), escape(o.server...), escape(o.log...)}
		})
		outcomes[i] = outcome{client: unescape(parts[0])[0], server: unescape(parts[1]), log: unescape(parts[2])}
	}
	return outcomes
}

func escape(texts ...string) (list []string) {
	for _, s := range texts {
		list = append(list, strconv.QuoteToASCII(s))
	}
	return list
}

func unescape(texts []string) (list []string) {
	for _, s := range texts {
		s, err := strconv.Unquote(s)
		if err != nil {
			s = err.Error()
		}
		list = append(list, s)
	}
	return list
}

// playAll plays the scenes against one balancer, some at a time.
func playAll(t *testing.T, program string, scenes []scene, host string, ports []int) []outcome {
	stages := make([]*stage, len(scenes))
	for i, sc := range scenes {
		play := sc.server
		if play == nil {
			play = answer
		}
		var err error
		if stages[i], err = openStage(play); err != nil {
			t.Error(err)
			return nil
		}
	}
	s, err := start(t, program, scenes, stages, host, ports)
	if err != nil {
		t.Error(err)
		return nil
	}
	outcomes := make([]outcome, len(scenes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 24)
	for i, sc := range scenes {
		wg.Go(func() {
			slots <- struct{}{}
			outcomes[i] = s.play(sc, host, ports[i], stages[i])
			<-slots
		})
	}
	wg.Wait()
	return outcomes
}

// differences are what a reader should know of how lb did not do as HAProxy.
func (sc *scene) differences(ours, theirs outcome) (list []string) {
	differ := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if sc.ours != "" {
		if got := strings.Join(ours.log, "\n"); got != sc.ours {
			differ("log:\n  lb      %q\n  wanted  %q\n  haproxy %q", got, sc.ours, theirs.log)
		}
	} else if !slices.Equal(ours.log, theirs.log) {
		differ("log:\n  lb      %q\n  haproxy %q", ours.log, theirs.log)
	}
	if sc.wire {
		return list
	}
	if ours.client != theirs.client {
		differ("the client got:\n  lb      %s\n  haproxy %s", quote(ours.client), quote(theirs.client))
	}
	if !slices.Equal(ours.server, theirs.server) {
		differ("the server got:\n  lb      %s\n  haproxy %s", quote(fmt.Sprint(ours.server)), quote(fmt.Sprint(theirs.server)))
	}
	return list
}

func quote(s string) string {
	if len(s) > 700 {
		s = s[:700] + "..."
	}
	return fmt.Sprintf("%q", s)
}
