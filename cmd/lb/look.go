package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What looks at a running balancer over its stats socket.

const defaultStats = "/run/lb/admin.sock"

// looking is the command line of a command that looks.
type looking struct {
	socket string
	json   bool
	every  time.Duration
	sort   string
	filter string
	help   bool
}

func look(verb string, args []string) (*looking, error) {
	l := &looking{socket: defaultStats, every: 2 * time.Second, sort: "requests"}
	for ; len(args) > 0; args = args[1:] {
		name := "-" + strings.TrimLeft(args[0], "-")
		name, value, given := strings.Cut(name, "=")
		take := func() error {
			if !given {
				if len(args) < 2 {
					return usageError{fmt.Sprintf("%s: %s needs a value", verb, args[0])}
				}
				args = args[1:]
				value = args[0]
			}
			return nil
		}
		var err error
		switch {
		case name == "-h" || name == "-help":
			l.help = true
		case name == "-s":
			err = take()
			l.socket = strings.TrimPrefix(value, "unix@")
		case name == "-json":
			l.json = true
		case name == "-every" && verb == "top":
			if err = take(); err == nil {
				if l.every, err = time.ParseDuration(value); err != nil || l.every <= 0 {
					err = usageError{fmt.Sprintf("top: --every %s is not a duration like 2s", value)}
				}
			}
		case name == "-sort" && verb == "top":
			if err = take(); err == nil && !slices.Contains(topColumns, value) {
				err = usageError{fmt.Sprintf("top: --sort is one of %s", strings.Join(topColumns, ", "))}
			}
			l.sort = value
		case name == "-filter" && verb == "top":
			err = take()
			l.filter = value
		default:
			err = usageError{fmt.Sprintf("%s: %q is not understood", verb, args[0])}
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// ask sends a command to the stats socket.
func (l *looking) ask(command string) (string, error) {
	c, err := net.DialTimeout("unix", l.socket, 5*time.Second)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("there is no stats socket at %s: name the one of the `stats socket` line with -s", l.socket)
	case err != nil:
		return "", fmt.Errorf("the stats socket: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", fmt.Errorf("ask %s: %w", l.socket, err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return "", fmt.Errorf("the answer of %s: %w", l.socket, err)
	}
	if strings.HasPrefix(string(answer), "Unknown command") {
		return "", fmt.Errorf("%s is no stats socket, as it does not know `%s`: name the one of the `stats socket` line with -s (the default is %s)", l.socket, command, defaultStats)
	}
	return strings.TrimSuffix(string(answer), "\n"), nil
}

// shown runs a command of the stats socket and shows the answer.
func shown(verb, command string) func([]string, io.Writer, io.Writer) error {
	return func(args []string, out, _ io.Writer) error {
		l, err := look(verb, args)
		if err != nil || l.help {
			return helped(out, verb, err)
		}
		command := command
		if l.json {
			command += " json"
		}
		answer, err := l.ask(command)
		if err != nil {
			return err
		}
		if strings.HasPrefix(answer, "Permission denied") {
			return fmt.Errorf("the socket's level does not permit '%s': use one with `level operator`", command)
		}
		if l.json && !json.Valid([]byte(answer)) {
			return fmt.Errorf("the worker that serves is of a release that does not know `%s`: reload", command)
		}
		_, err = io.WriteString(out, answer)
		return err
	}
}

// topRow is one line of lb top.
type topRow struct {
	Proxy    string `json:"proxy"`
	Server   string `json:"server"`
	Status   string `json:"status"`
	Sessions int    `json:"sessions"`
	Queue    int    `json:"queue"`
	Rate     int    `json:"rate"`
	Requests int    `json:"requests"`
	Errors   int    `json:"errors"`
	P50      string `json:"p50_ms"`
	P99      string `json:"p99_ms"`
	Out      int    `json:"bytes_out"`
}

// topColumns are what lb top sorts by.
var topColumns = []string{"name", "sessions", "queue", "rate", "requests", "errors", "p99"}

// readTop reads `show stat`.
func readTop(text string) ([]topRow, error) {
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(lines) == 0 {
		return nil, fmt.Errorf("show stat cannot be read: %v", err)
	}
	at := map[string]int{}
	for i, name := range lines[0] {
		at[name] = i
	}
	var rows []topRow
	for _, cells := range lines[1:] {
		text := func(name string) string {
			if i, ok := at[name]; ok {
				return cells[i]
			}
			return ""
		}
		num := func(name string) int {
			n, _ := strconv.Atoi(text(name)) // an empty cell is 0
			return n
		}
		requests := num("req_tot")
		if text("req_tot") == "" {
			requests = num("stot")
		}
		rows = append(rows, topRow{
			Proxy: text("pxname"), Server: text("svname"), Status: text("status"), Sessions: num("scur"), Queue: num("qcur"), Rate: num("rate"), Requests: requests,
			Errors: num("hrsp_5xx") + num("econ") + num("eresp") + num("ereq"), P50: text("ttime_p50"), P99: text("ttime_p99"), Out: num("bout"),
		})
	}
	return rows, nil
}

// order sorts rows by a column, the largest first; names in their order.
func order(rows []topRow, by string) {
	of := map[string]func(r *topRow) int{
		"sessions": func(r *topRow) int { return r.Sessions }, "queue": func(r *topRow) int { return r.Queue }, "rate": func(r *topRow) int { return r.Rate },
		"requests": func(r *topRow) int { return r.Requests }, "errors": func(r *topRow) int { return r.Errors },
		"p99": func(r *topRow) int { n, _ := strconv.Atoi(r.P99); return n },
	}[by]
	slices.SortStableFunc(rows, func(a, b topRow) int {
		if of == nil {
			return cmp.Or(cmp.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Server, b.Server))
		}
		return of(&b) - of(&a)
	})
}

// top shows what is busy, slow or failing: again and again on a terminal, once
// otherwise.
func top(args []string, out, _ io.Writer) error {
	l, err := look("top", args)
	if err != nil || l.help {
		return helped(out, "top", err)
	}
	file, ok := out.(*os.File)
	if l.json || !ok || !isTerminal(file) {
		screen, err := l.screen(0)
		if err == nil {
			_, err = io.WriteString(out, screen)
		}
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGINT, unix.SIGTERM)
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		height := 24
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil {
			height = int(size.Row)
		}
		screen, err := l.screen(height - 1)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, "\x1b[H\x1b[2J"+screen); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// screen is what lb top shows; height bounds its lines, 0 does not.
func (l *looking) screen(height int) (string, error) {
	info, err := l.ask("show info")
	if err != nil {
		return "", err
	}
	stat, err := l.ask("show stat")
	if err != nil {
		return "", err
	}
	rows, err := readTop(stat)
	if err != nil {
		return "", err
	}
	rows = slices.DeleteFunc(rows, func(r topRow) bool { return !strings.Contains(r.Proxy+"/"+r.Server, l.filter) })
	order(rows, l.sort)
	if l.json {
		text, err := json.MarshalIndent(rows, "", "  ")
		return string(text) + "\n", err
	}
	value := func(name string) string {
		for line := range strings.Lines(info) {
			if v, ok := strings.CutPrefix(line, name+": "); ok {
				return strings.TrimSpace(v)
			}
		}
		return "?"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "lb %s, pid %s, up %s, idle %s%%: %s connections of %s, %s/s; %s requests; %s log lines dropped\n\n",
		value("Version"), value("Pid"), value("Uptime"), value("Idle_pct"), value("CurrConns"), value("Maxconn"), value("ConnRate"), value("CumReq"), value("DroppedLogs"))
	fmt.Fprintf(&b, "%-32s %-12s %8s %6s %7s %11s %8s %7s %7s\n", "PROXY/SERVER", "STATUS", "SESSIONS", "QUEUE", "RATE/S", "REQUESTS", "ERRORS", "P50 MS", "P99 MS")
	for i, r := range rows {
		if height > 0 && i+4 > height {
			break
		}
		name := r.Proxy + "/" + r.Server
		if len(name) > 32 {
			name = name[:31] + "~"
		}
		fmt.Fprintf(&b, "%-32s %-12s %8d %6d %7d %11d %8d %7s %7s\n", name, r.Status, r.Sessions, r.Queue, r.Rate, r.Requests, r.Errors, r.P50, r.P99)
	}
	return b.String(), nil
}
