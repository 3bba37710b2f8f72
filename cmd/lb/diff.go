package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/cfgdiff"
	"lbsyslogd/lb/master"
	"lbsyslogd/lb/worker"
)

// comparison is what lb diff shows.
type comparison struct {
	Generation int  `json:"generation"`
	Different  bool `json:"different"`
	*cfgdiff.Diff
	Ending  []ending          `json:"ending"`
	Runtime []cfgdiff.Runtime `json:"runtime_changes"`
	Notes   []string          `json:"notes"`
}

// ending are connections whose listener or server goes.
type ending struct {
	What     string `json:"what"` // "frontend www", "server be/a"
	Why      string `json:"why"`
	Sessions int    `json:"sessions"`
}

// diff says what a reload would change.
func diff(args []string, out, errs io.Writer) error {
	var files, rest []string
	asJSON := false
	for len(args) > 0 {
		switch word := args[0]; {
		case word == "--json" || word == "-json":
			asJSON = true
		case word == "-f" && len(args) < 2:
			return usageError{"diff: -f needs a value"}
		case word == "-f":
			args = args[1:]
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			files = append(files, path)
		default:
			rest = append(rest, word)
		}
		args = args[1:]
	}
	r, err := requested("diff", rest, 60*time.Second)
	if err != nil || r.help {
		return helped(out, "diff", err)
	}
	c, err := r.compare(files, errs)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(c)
	}
	return c.write(out)
}

// compare asks what the worker was loaded from and reads what a reload would. files
// replace those that the master was started with.
func (r *request) compare(files []string, errs io.Writer) (*comparison, error) {
	answer, err := r.insist("configuration")
	if err != nil {
		return nil, err
	}
	if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
		return nil, errors.New(strings.TrimSpace(text))
	}
	head, snapshot, _ := strings.Cut(answer, "\n")
	var about master.Loaded
	if err := json.Unmarshal([]byte(head), &about); err != nil {
		return nil, fmt.Errorf("the master's answer about its configuration: %w", err)
	}
	o, err := parse(about.Args)
	if err != nil {
		return nil, fmt.Errorf("the master's command line: %w", err)
	}
	if files != nil {
		o.files = files
	}
	if err := os.Chdir(about.Dir); err != nil {
		return nil, fmt.Errorf("the master's directory: %w", err)
	}
	c := &comparison{Generation: about.Generation, Ending: []ending{}, Notes: []string{}}
	environ, err := environOf(r.master)
	if err != nil {
		c.Notes = append(c.Notes, fmt.Sprintf("the master's environment cannot be read (%v): variables have the values that they have here", err))
	}
	now := new(cfgdiff.Side)
	l := o.loader(errs)
	l.Quiet, l.Environ, l.Seen = true, environ, now.Add
	cfg, _, err := l.Config()
	if err != nil {
		return nil, err
	}
	if err := l.CheckOf(cfg); err != nil {
		return nil, err
	}
	// Lines that were right then may name files that are gone.
	was := new(cfgdiff.Side)
	_, _, _ = worker.Loader{Snapshot: strings.NewReader(snapshot), Out: io.Discard, LocalPeer: o.localPeer, Environ: environ, Seen: was.Add}.Config()
	c.Diff = cfgdiff.Compare(was, now, cfgdiff.Secrets(append(cfg.Environ, environ...)))
	if loaded, ok := worker.SnapshotFiles([]byte(snapshot)); ok {
		c.CompareFiles(loadedFiles(loaded), loadedFiles(worker.Files(cfg)))
	} else {
		c.Notes = append(c.Notes, "what was in certificates, maps and other files is not known, as a release before this one has loaded them")
	}
	c.Different = !c.Empty()
	r.askWorker(c)
	return c, nil
}

func loadedFiles(list []worker.File) []cfgdiff.File {
	out := make([]cfgdiff.File, len(list))
	for i, f := range list {
		out[i] = cfgdiff.File(f)
	}
	return out
}

// environOf is the environment that a process was started with.
func environOf(pid int) ([]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00"), nil
}

// askWorker adds what the worker knows: open connections, and changes at run time.
func (r *request) askWorker(c *comparison) {
	changes, err := r.ask("@1 show runtime-changes")
	if err == nil && badAnswer(changes) {
		err = errors.New(strings.TrimSpace(changes))
	}
	if err != nil {
		c.Notes = append(c.Notes, fmt.Sprintf("what was changed at run time is not known: %v", err))
	}
	if c.Runtime = []cfgdiff.Runtime{}; err == nil {
		c.Runtime = c.Diff.Runtime(changes)
	}
	stat, err := r.ask("@1 show stat")
	var rows []topRow
	if err == nil {
		rows, err = readTop(strings.TrimRight(stat, "\n") + "\n")
	}
	if err != nil {
		c.Notes = append(c.Notes, fmt.Sprintf("open connections cannot be counted: %v", err))
		return
	}
	sessions := func(proxy, server string, template bool) (n int) {
		for i := range rows {
			rest, begins := strings.CutPrefix(rows[i].Server, server)
			if template && begins {
				_, err := strconv.Atoi(rest)
				begins = err == nil
			} else {
				begins = begins && rest == ""
			}
			if begins && rows[i].Proxy == proxy {
				n += rows[i].Sessions
			}
		}
		return n
	}
	for _, g := range c.Going() {
		e := ending{What: g.What, Why: g.Why}
		if g.Server != "" {
			e.Sessions = sessions(g.Proxy, g.Server, g.Template)
		} else {
			e.Sessions = sessions(g.Proxy, "FRONTEND", false)
		}
		c.Ending = append(c.Ending, e)
	}
}

// badAnswer reports whether an answer is a refusal, or the master's word on why there is none.
func badAnswer(answer string) bool {
	for _, begin := range []string{"Refused:", "There is no worker", "Unknown command", "Permission denied", "Reach the worker", "The worker has no answer", "The worker's answer"} {
		if strings.HasPrefix(answer, begin) {
			return true
		}
	}
	return false
}

// write shows a comparison to people.
func (c *comparison) write(out io.Writer) error {
	var b strings.Builder
	if c.Different {
		fmt.Fprintf(&b, "A reload would change, against generation %d:\n", c.Generation)
	} else {
		fmt.Fprintf(&b, "A reload would change nothing: generation %d has this configuration.\n", c.Generation)
	}
	for _, part := range []struct {
		title string
		list  []cfgdiff.Change
	}{{"listeners", c.Listeners}, {"proxies", c.Proxies}, {"servers", c.Servers}, {"files", c.Files}, {"settings and rules", c.Settings}} {
		if len(part.list) > 0 {
			fmt.Fprintf(&b, "\n%s:\n", part.title)
		}
		for i := range part.list {
			writeChange(&b, &part.list[i])
		}
	}
	if len(c.Ending) > 0 {
		b.WriteString("\nconnections that the old worker finishes, as nothing takes them over:\n")
	}
	for _, e := range c.Ending {
		fmt.Fprintf(&b, "  %s: %d open (%s)\n", e.What, e.Sessions, e.Why)
	}
	if len(c.Runtime) > 0 {
		b.WriteString("\nchanged at run time:\n")
	}
	for _, r := range c.Runtime {
		fate := "kept"
		if !r.Kept {
			fate = "dropped, as " + r.Why
		}
		fmt.Fprintf(&b, "  %s: %s: %s\n", r.What, r.Now, fate)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "\nNote: %s.\n", note)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func writeChange(b *strings.Builder, c *cfgdiff.Change) {
	head := []string{"  " + c.Change}
	if c.Section != "" {
		head = append(head, c.Section)
	}
	if c.Name != "" {
		head = append(head, c.Name)
	}
	b.WriteString(strings.Join(head, " "))
	if len(c.Details) > 0 {
		b.WriteString(": " + strings.Join(c.Details, "; "))
	}
	switch { // a place without a line: a whole section
	case c.Was == "" && c.Now == "" && c.WasAt != "" && c.NowAt == "":
		fmt.Fprintf(b, " (was %s)", c.WasAt)
	case c.Was == "" && c.Now == "" && c.NowAt != "":
		fmt.Fprintf(b, " (%s)", c.NowAt)
	}
	b.WriteString("\n")
	if c.Was != "" {
		fmt.Fprintf(b, "    - %s: %s\n", c.WasAt, c.Was)
	}
	if c.Now != "" {
		fmt.Fprintf(b, "    + %s: %s\n", c.NowAt, c.Now)
	}
}
