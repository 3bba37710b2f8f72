package route

import (
	"net/netip"
	"path"
	"regexp"
	"sync"
	"time"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/ledger"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/write"
)

// A Rule sends the messages that all of its conditions fit to one output. An absent condition fits everything.
type Rule struct {
	Select Selector
	Tags   []string // shell patterns on the tag
	Hosts  []string // shell patterns on the host as it is written
	From   []netip.Prefix
	MsgIDs []string       // shell patterns on the message id of RFC 5424
	Data   *regexp.Regexp // on its structured data, as it was sent
	Text   *regexp.Regexp
	Final  bool // no later rule sees a message that this one took

	// Limit is of what goes to the output; nil: none. What it drops was taken nevertheless.
	Limit *Limiter

	Output *write.Output
	Format string

	// Files is set instead of Output when the message says which of them it goes to, by the template Path.
	Files *write.Set
	Path  string
}

// Settings are what a Table says besides its rules.
type Settings struct {
	Host string // this host's name, for messages from here that carry none
	// Zone is that of the times we give ourselves, and of those that come without one; nil: local.
	Zone *time.Location
	// Allow lists the networks that may send; empty is everyone. Unix sockets have permissions instead.
	Allow []netip.Prefix
	// RefuseOversized drops what did not fit instead of writing its beginning.
	RefuseOversized bool
	// Ledger takes what senders say of what they have sent; nil: that is routed like other messages.
	Ledger *ledger.Book
}

// A Table is what rules were compiled to. Immutable, but for its users.
type Table struct {
	Settings
	rules      []Rule
	byPriority [message.Facilities * message.Severities][]int
	byAddress  bool // something depends on which address a message is from, beyond its being this host's

	// users is held for reading by every Stage that is in a batch with this Table.
	users sync.RWMutex
}

// Compile makes a Table of rules, whose order counts. Every Format must be one that format.New knows, every Path a template.
func Compile(rules []Rule, settings Settings) (*Table, error) {
	t := &Table{rules: rules, Settings: settings, byAddress: len(settings.Allow) > 0}
	for i := range rules {
		t.byAddress = t.byAddress || rules[i].From != nil
		if _, err := format.New(rules[i].Format); err != nil {
			return nil, err
		}
		if _, err := format.ParseTemplate(rules[i].Path); err != nil {
			return nil, err
		}
		for pri := range t.byPriority {
			if rules[i].Select.Has(pri) {
				t.byPriority[pri] = append(t.byPriority[pri], i)
			}
		}
	}
	return t, nil
}

// Allows says whether an address may send. Unix sockets, which have none, have permissions instead.
func (t *Table) Allows(a netip.Addr) bool {
	return len(t.Allow) == 0 || !a.IsValid() || anyContains(t.Allow, a)
}

// Retire returns when no Stage uses the Table any more. Something else must have taken its place before.
func (t *Table) Retire() {
	t.users.Lock()
	defer t.users.Unlock()
}

// fits says whether the conditions besides the selector hold.
func (r *Rule) fits(m *message.Message, e *format.Envelope, from netip.Addr) bool {
	if r.Tags != nil && !anyMatch(r.Tags, m.Tag) {
		return false
	}
	if r.Hosts != nil {
		host := m.Host
		if len(host) == 0 {
			host = []byte(e.Host)
		}
		if !anyMatch(r.Hosts, host) {
			return false
		}
	}
	if r.MsgIDs != nil && !anyMatch(r.MsgIDs, m.MsgID) {
		return false
	}
	if r.Data != nil && !r.Data.Match(m.Data) {
		return false
	}
	if r.From != nil && !anyContains(r.From, from) {
		return false
	}
	return r.Text == nil || r.Text.Match(m.Text)
}

func anyMatch(patterns []string, name []byte) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, string(name)); ok && err == nil {
			return true
		}
	}
	return false
}

func anyContains(nets []netip.Prefix, a netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
