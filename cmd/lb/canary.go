package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"lbsyslogd/lb/master"
)

// canaryOptions are those of `lb reload --canary`, by the words that the master knows
// them by.
var canaryOptions = map[string]string{"-canary": "", "-for": "for", "-abort-if": "abort-if"}

// reload loads the configuration anew: at once, or on trial first.
func reload(args []string, out, errs io.Writer) error {
	var words, rest []string
	share := ""
	for ; len(args) > 0; args = args[1:] {
		name, value, given := strings.Cut("-"+strings.TrimLeft(args[0], "-"), "=")
		word, known := canaryOptions[name]
		if !known || !strings.HasPrefix(args[0], "-") {
			rest = append(rest, args[0])
			continue
		}
		if !given {
			if len(args) < 2 {
				return usageError{fmt.Sprintf("reload: %s needs a value", args[0])}
			}
			args = args[1:]
			value = args[0]
		}
		if word == "" {
			share = value
			continue
		}
		words = append(words, word, value)
	}
	if share == "" {
		if len(words) > 0 {
			return usageError{fmt.Sprintf("reload: --%s belongs to --canary, which is missing", words[0])}
		}
		return outcome("reload", "-if-changed")(rest, out, errs)
	}
	c, err := master.ParseCanary(append([]string{share}, words...))
	if err != nil {
		return usageError{"reload: --canary: " + err.Error()}
	}
	r, err := requested("reload", rest, c.For+90*time.Second)
	if err != nil || r.help {
		return helped(out, "reload", err)
	}
	answer, err := r.ask("reload canary " + strings.Join(c.Words(), " "))
	if err != nil {
		return err
	}
	return r.conclude(answer, out, errs)
}

// canary is about the trial that is under way.
func canary(args []string, out, _ io.Writer) error {
	what := "status"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	r, err := requested("canary", args, 30*time.Second)
	if err != nil || r.help {
		return helped(out, "canary", err)
	}
	switch what {
	case "status", "promote", "abort":
	default:
		return usageError{fmt.Sprintf("canary: %q is not one of status, promote and abort", what)}
	}
	answer, err := r.ask("canary " + what)
	if err != nil {
		return err
	}
	if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
		return errors.New(strings.TrimSpace(text))
	}
	_, err = io.WriteString(out, answer)
	return err
}
