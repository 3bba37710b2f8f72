package console

import (
	"bytes"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// messages yields the messages in p: a line, with those after it that only go
// on with it (they are set off by blanks).
func messages(p []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		var message strings.Builder
		for line := range bytes.Lines(p) {
			if message.Len() > 0 && line[0] != ' ' {
				if !yield(strings.TrimRight(message.String(), "\n")) {
					return
				}
				message.Reset()
			}
			if len(bytes.TrimSpace(line)) > 0 {
				message.Write(line)
			}
		}
		if message.Len() > 0 {
			yield(strings.TrimRight(message.String(), "\n"))
		}
	}
}

// form is a line as HAProxy writes it: its level, the process, the text.
var form = regexp.MustCompile(`(?s)^\[(ALERT|WARNING|NOTICE)\] +\(([0-9]+)\) : (?:config : )?(?:parsing )?(.*)$`)

// levels are the priorities of HAProxy's words.
var levels = map[string]int{"ALERT": priErr, "WARNING": priWarning, "NOTICE": priNotice}

// carried is before each field that a line carries along.
const carried = '\x1f'

// readEntry makes an entry of a message. The text loses what the entry's fields
// say: level and process.
func readEntry(text, prefix string) entry {
	text, along, _ := strings.Cut(text, string(carried))
	e := entry{priority: priInfo, message: text}
	for f := range strings.SplitSeq(along, string(carried)) {
		name, value, _ := strings.Cut(f, "=")
		e.add(name, value)
	}
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		e.priority = priCrit
	}
	if m := form.FindStringSubmatch(text); m != nil {
		e.priority, e.message = levels[m[1]], m[3]
		if m[2] != strconv.Itoa(os.Getpid()) {
			e.add(prefix+"WORKER_PID", m[2]) // the master passes on what a worker says that is not ready yet
		}
	}
	e.place(prefix)
	return e
}

// place finds where in the configuration a message is about: "[lb.cfg:12] : ",
// "/etc/lb/lb.cfg:12: ", "syslogd.yaml:3:5: ".
var place = regexp.MustCompile(`(?:^|[\s\[])([^\s\[\]:]*(?:/[^\s\[\]:]+|\.cfg|\.yaml)):([0-9]+)(?::[0-9]+)?\]? ?:`)

// place adds the file and the line that the message is about.
func (e *entry) place(prefix string) {
	if m := place.FindStringSubmatch(e.message); m != nil {
		e.add(prefix+"CONFIG_FILE", m[1])
		e.add(prefix+"CONFIG_LINE", m[2])
	}
}
