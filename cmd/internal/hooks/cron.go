package hooks

import (
	"regexp"
	"strings"
)

var (
	assignment = regexp.MustCompile(`^\s*\w+\s*=`)
	// schedule is what stands before the command: five fields, or a word like @daily.
	schedule = regexp.MustCompile(`^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+`)
	user     = regexp.MustCompile(`^\S+\s+`)
)

// crontabs reads what cron and anacron run.
func (r *reading) crontabs() {
	r.crontab("/etc/crontab", true)
	r.anacrontab("/etc/anacrontab")
	for _, name := range r.list("/etc/cron.d") {
		if !strings.Contains(name[len("/etc/cron.d/"):], ".") { // cron passes over names with a dot
			r.crontab(name, true)
		}
	}
	for _, dir := range []string{"/var/spool/cron/crontabs", "/var/spool/cron"} { // Debian's, and rpm distributions'
		for _, name := range r.list(dir) {
			r.crontab(name, false)
		}
	}
	for _, period := range []string{"hourly", "daily", "weekly", "monthly"} {
		for _, name := range r.list("/etc/cron." + period) {
			if text, ok := r.open(name); ok {
				r.shell(name, "cron", text)
			}
		}
	}
}

// crontab reads a table. The system's own have a column with the user.
func (r *reading) crontab(name string, withUser bool) {
	text, ok := r.open(name)
	if !ok {
		return
	}
	joined(text, func(n int, l string) {
		if assignment.MatchString(l) {
			return
		}
		before := schedule.FindString(l)
		if before == "" {
			return
		}
		command := l[len(before):]
		if withUser {
			command = command[len(user.FindString(command)):]
		}
		command, _, _ = strings.Cut(command, "%") // what follows is the command's input
		r.add(line{name, n, "cron", command})
	})
}

// anacrontab's columns are the period, the delay, a name and the command.
func (r *reading) anacrontab(name string) {
	text, ok := r.open(name)
	if !ok {
		return
	}
	joined(text, func(n int, l string) {
		f := strings.Fields(l)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || assignment.MatchString(l) {
			return
		}
		r.add(line{name, n, "anacron", strings.Join(f[3:], " ")})
	})
}
