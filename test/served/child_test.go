package served

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"lbsyslogd/test/rig"
)

// job is what a child is started for: one file, served by one program, in namespaces of its own.
type job struct {
	Program, File string
	Lines         []int // how many lines of the log each ask had with the other program; nil: nobody knows
}

// outcome is what it saw.
type outcome struct {
	Error   string   `json:",omitempty"`
	Denied  bool     `json:",omitempty"` // the Error: this user may not make namespaces what they have to be
	Servers []string // their states when checks had been made
	Asks    []answer
	Counts  []string // of `show stat` at the end
}

// answer is what came of one ask.
type answer struct {
	Ask    string
	Answer []string
	Seen   []string `json:",omitempty"` // what reached servers
	Lines  []string `json:",omitempty"` // of the log
}

// child is a run of a job.
type child struct {
	*whole
	job
	lb    *rig.LB
	r     *recorder
	socks []*net.UDPConn
	flush *net.UDPConn
	asked int

	patience time.Duration // how long a client waits for what may never come

	ports map[string]int // the ask that a client's port belongs to
	out   outcome

	asks []*ask
	mine []string // the ports of the asks
}

// childMain runs the job that stands in the environment, and prints its outcome.
func childMain(text string) {
	c := &child{ports: map[string]int{}, r: &recorder{seen: map[string][]string{}}}
	err := json.Unmarshal([]byte(text), &c.job)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		c.out.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(c.out)
}

func (c *child) run() error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if err := c.room(); err != nil {
		c.out.Denied = errors.Is(err, os.ErrPermission)
		return fmt.Errorf("namespace: %w", err)
	}
	c.whole = rewrite(string(file))
	c.patience = 20 * time.Second
	if strings.Contains(c.text, "silent-drop") { // what was dropped so hears nothing
		c.patience = 1500 * time.Millisecond
	}
	if err := c.files(); err != nil {
		return err
	}
	asks := asksOf(c.whole)
	if err := c.network(asks); err != nil {
		return err
	}
	c.lb = rig.LBIn("/run/lb")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	if err := c.lb.Start(ctx, c.Program, "-W", c.text); err != nil {
		return err
	}
	c.out.Servers, err = c.settled(ctx)
	if err != nil {
		return err
	}
	for i, a := range asks {
		answer := answer{Ask: a.String()}
		c.asked = i + 1
		c.late()
		c.asks, c.mine = append(c.asks, a), append(c.mine, "")
		answer.Answer = c.do(a)
		lines, err := c.lines(i)
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
		answer.Seen = c.r.take(i + 1)
		c.out.Asks = append(c.out.Asks, answer)
		for _, line := range lines {
			c.line(line)
		}
	}
	c.out.Counts = c.counts()
	c.late()
	for i := range c.out.Asks {
		c.mask(i)
	}
	return nil
}

// rows are those of `show stat`, as columns by name.
func (c *child) rows() (rows []map[string]string) {
	text, err := c.ask("show stat")
	if err != nil {
		return nil
	}
	all, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# ")))).ReadAll()
	if err != nil || len(all) == 0 {
		return nil
	}
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *child) ask(command string) (string, error) {
	s, err := net.Dial("unix", "/run/served.sock")
	if err != nil {
		return "", err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(s, command+"\n")
	s.(*net.UnixConn).CloseWrite()
	text, err := io.ReadAll(s)
	return string(text), err
}

// settled waits until each server that is checked was, and gives their states.
func (c *child) settled(ctx context.Context) (states []string, err error) {
	err = rig.Until(ctx, "the first checks", func() bool {
		states = nil
		for _, row := range c.rows() {
			if row["svname"] == "FRONTEND" || row["svname"] == "BACKEND" {
				continue
			}
			check := row["check_status"]
			if check == "INI" || strings.HasPrefix(check, "*") || check != "" && !strings.Contains(check, "OK") && strings.HasPrefix(row["status"], "UP") {
				return false // the first check that fails takes a server down
			}
			status, _, _ := strings.Cut(row["status"], " ")
			states = append(states, fmt.Sprintf("%s/%s %s %s weight=%s", row["pxname"], row["svname"], status, row["check_status"], row["weight"]))
		}
		return true
	})
	if err != nil {
		err = fmt.Errorf("%w: %s\n%s", err, strings.Join(states, "\n"), c.lb.Output())
	}
	return states, err
}

// counts are the numbers of `show stat` that both can agree about.
func (c *child) counts() (out []string) {
	for _, row := range c.rows() {
		if row["pxname"] == "served-flush" {
			continue
		}
		text := row["pxname"] + "/" + row["svname"]
		for _, name := range []string{"stot", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "req_tot", "ereq", "dreq", "dresp", "dcon", "dses", "econ", "eresp", "wretr", "wredis", "lbtot", "srv_abrt", "intercepted"} {
			if v := row[name]; v != "" && v != "0" {
				text += " " + name + "=" + v
			}
		}
		out = append(out, text)
	}
	return out
}
