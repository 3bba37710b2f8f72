package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDuration is what HAProxy's 31-bit millisecond timers can hold.
const maxDuration = math.MaxInt32 * time.Millisecond

// duration reads a time: a whole number with a unit of us, ms, s, m, h or d
// (configuration manual 2.5). unit counts when none is written.
func duration(what, word string, unit time.Duration) (time.Duration, error) {
	digits := 0
	for digits < len(word) && word[digits] >= '0' && word[digits] <= '9' {
		digits++
	}
	if digits == 0 {
		return 0, fmt.Errorf("'%s' expects a time such as 30s or 500ms, not '%s'", what, word)
	}
	// HAProxy reads a unit's first letters, so that 5sec and 5min are times.
	name := word[digits:]
	for _, long := range []struct{ from, to string }{{"sec", "s"}, {"seconds", "s"}, {"second", "s"}, {"secs", "s"}, {"min", "m"}, {"mins", "m"}, {"minute", "m"}, {"minutes", "m"}, {"hour", "h"}, {"hours", "h"}, {"day", "d"}, {"days", "d"}, {"msec", "ms"}, {"usec", "us"}} {
		if name == long.from {
			name = long.to
		}
	}
	switch name {
	case "":
	case "us":
		unit = time.Microsecond
	case "ms":
		unit = time.Millisecond
	case "s":
		unit = time.Second
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	default:
		return 0, fmt.Errorf("'%s' does not know the unit '%s' in '%s': us, ms, s, m, h and d are possible", what, word[digits:], word)
	}
	n, err := strconv.ParseInt(word[:digits], 10, 64)
	if err != nil || n > int64(maxDuration/unit) {
		return 0, fmt.Errorf("'%s': timer overflow in '%s' (the most is %d days)", what, word, maxDuration/(24*time.Hour))
	}
	d := time.Duration(n) * unit
	if d%time.Millisecond != 0 { // timers count milliseconds; never round down to "none"
		d += time.Millisecond - d%time.Millisecond
	}
	return d, nil
}

// octal reads permissions such as 660.
func octal(what, word string) (uint32, error) {
	n, err := strconv.ParseUint(word, 8, 32)
	if err != nil || n > 0o7777 {
		return 0, fmt.Errorf("'%s' expects octal permissions such as 660, not '%s'", what, word)
	}
	return uint32(n), nil
}

// oneOf checks a word against the possible ones.
func oneOf(what, word string, possible ...string) error {
	for _, p := range possible {
		if word == p {
			return nil
		}
	}
	return fmt.Errorf("'%s' only supports '%s' (got '%s')", what, strings.Join(possible, "', '"), word)
}

// literal makes a log format out of a text without variables.
func literal(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// plainError drops the path that os errors repeat.
func plainError(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// sortedNames gives the keys of a map in order, for messages.
func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// seconds is duration for a word that counts seconds where it names no unit.
func seconds(what, word string) (time.Duration, error) {
	return duration(what, word, time.Second)
}
