package message

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// A header is one that a family of devices writes, and what it means.
type header struct {
	text           string // after the priority
	host, tag, pid string
	skipped        string // words that appear in no part of the message: counters, zones, the names of levels
}

// A family writes headers at random.
type family struct {
	name string
	make func(g *maker) header
}

// A maker picks the parts of headers.
type maker struct{ *rand.Rand }

func (g *maker) pick(of ...string) string { return of[g.IntN(len(of))] }

// maybe is s in one of two cases.
func (g *maker) maybe(s string) string { return g.pick("", s) }

func (g *maker) month() string {
	return g.pick("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
}

func (g *maker) clock() string {
	return fmt.Sprintf("%02d:%02d:%02d", g.IntN(24), g.IntN(60), g.IntN(60))
}

func (g *maker) fraction() string {
	return g.pick("", "", ".5", ".123", ".123456", ".123456789")
}

func (g *maker) date() string { return fmt.Sprintf("%s %2d", g.month(), 1+g.IntN(28)) }

func (g *maker) year() string { return g.pick("1970", "2019", "2025", "2026", "2027", "2038") }

// bsd is the time as RFC 3164 has it, or nearly so.
func (g *maker) bsd() string {
	month := g.month()
	return g.pick(month, month, strings.ToUpper(month), strings.ToLower(month)) + " " + fmt.Sprintf(g.pick("%d", "%2d", "%02d"), 1+g.IntN(28)) + " " + g.clock()
}

func (g *maker) iso() string {
	return fmt.Sprintf("%s-%02d-%02d%s%s%s", g.year(), 1+g.IntN(12), 1+g.IntN(28), g.pick("T", "T", " "), g.clock(), g.fraction())
}

func (g *maker) offset() string { return g.pick("Z", "+00:00", "+01:00", "-0730", "+02", "-11:00") }

func (g *maker) zone() string {
	return g.pick("UTC", "GMT", "CET", "CEST", "EST", "EDT", "PST", "JST", "AEST", "MSK", "IST")
}

func (g *maker) ip() string {
	return g.pick("10.1.2.3", "192.0.2.255", "1.1.1.1", "172.16.0.10", "2001:db8::7", "fe80::1", "::1", "2001:db8:0:1:2:3:4:5", "::ffff:192.0.2.1")
}

// name is a host's name that no word of a text is.
func (g *maker) name() string {
	return g.pick("fw-a", "rtr1", "host.example.net", "Büro1", "sw_2", "loghost", "node17", "WINSRV", "r1-core.pop2", "10.1.2.3", "2001:db8::7", "3com-sw", "a1b2c3",
		"core", "mx", "web", "db01", "GATEWAY-1", "kube-node-3.eu-west-1.compute.internal", "_gateway", "x")
}

func (g *maker) pid() string { return g.pick("1", "77", "31337", "4194304") }

// counter is Cisco's, one or two.
func (g *maker) counter() (text, skipped string) {
	a, b := fmt.Sprint(g.IntN(1_000_000)), fmt.Sprintf("%06d", g.IntN(1_000_000))
	if g.IntN(2) == 0 {
		return a + ": ", a
	}
	return a + ": " + b + ": ", a + " " + b
}

func (g *maker) mnemonic() string {
	return "%" + g.pick("SYS-5-CONFIG_I", "LINK-3-UPDOWN", "LINEPROTO-5-UPDOWN", "SEC_LOGIN-4-LOGIN_FAILED", "OSPF-5-ADJCHG", "C4K_EBM-4-HOSTFLAPPING", "PM-SP-4-ERR_DISABLE")
}

var families = []family{
	{"RFC 3164", func(g *maker) header {
		h := header{host: g.pick("", g.name()), tag: g.pick("sshd", "kernel", "postfix/smtpd", "CRON", "systemd-logind", "(systemd)", "app.v2", "su(pam_unix)"), pid: g.pick("", g.pid())}
		h.text = g.bsd() + " " + spaced(h.host) + tagged(h)
		return h
	}},
	{"RFC 3164 with a year or a zone", func(g *maker) header {
		h := header{host: g.name(), tag: g.pick("sshd", "app", "kernel"), pid: g.pick("", g.pid())}
		zone := g.zone()
		h.text = g.pick(
			g.date()+" "+g.year()+" "+g.clock()+g.fraction(), g.date()+" "+g.clock()+g.fraction()+" "+g.year(), g.year()+" "+g.date()+" "+g.clock(),
			g.date()+", "+g.year()+" "+g.clock(), fmt.Sprintf("%d-%s-%s %s", 1+g.IntN(28), g.month(), g.year(), g.clock()),
			g.pick("Mon", "Thu", "Sun")+" "+g.date()+" "+g.clock()+" "+zone+" "+g.year(), g.date()+" "+g.clock()+" "+zone+" "+g.year(),
			g.date()+" "+g.clock()+g.fraction()+" "+zone, g.date()+" "+g.clock()+g.pick("+01:00", "-0730", "Z"), g.date()+" "+g.year()+" "+g.clock()+" "+g.pick("AM", "PM")+".5",
		) + g.pick(" ", ": ") + spaced(h.host) + tagged(h)
		h.skipped = zone
		return h
	}},
	{"ISO time", func(g *maker) header {
		h := header{host: g.pick("", g.name()), tag: g.pick("sshd", "app", "kernel"), pid: g.pick("", g.pid())}
		h.text = g.iso() + g.pick("", g.offset()) + " " + spaced(h.host) + tagged(h)
		return h
	}},
	{"RFC 5424", func(g *maker) header {
		h := header{host: g.pick("-", g.name()), tag: g.pick("-", "sshd", "app"), pid: g.pick("-", "web.3", g.pid())}
		h.text = "1 " + strings.Replace(g.iso(), " ", "T", 1) + g.pick("Z", "+01:00") + " " + h.host + " " + h.tag + " " + h.pid + " " + g.pick("-", "ID47") + " " +
			g.pick("-", `[a@1 k="v"]`, `[a@1 k="v"][meta sequenceId="9"]`, `[x y="\"] z"]`, "[error]", "[77123]", "==x==", "-x") + " "
		h.host, h.tag, h.pid, h.skipped = strings.Trim(h.host, "-"), strings.Trim(h.tag, "-"), strings.Trim(h.pid, "-"), "1"
		return h
	}},
	{"IOS", func(g *maker) header {
		h := header{tag: g.mnemonic()}
		text, skipped := g.counter()
		zone, mark := g.pick("", g.zone(), "XYZT"), g.pick("", "*", ".")
		when := g.pick(mark+g.date()+g.pick(" ", " "+g.year()+" ")+g.clock()+g.pick("", ".483")+spacedBefore(zone), g.pick("00:20:10", "1w2d", "3y12w", "2d04h", "124:00:59.123"))
		skipped += " " + zone + " " + when
		if g.IntN(3) == 0 {
			h.host = g.pick("rtr-a", "10.1.1.1", "sw2.example.net", "2001:db8::1")
			text += h.host + ": " + g.pick("", "000099: ")
			skipped += " 000099"
		}
		h.text, h.skipped = text+g.pick(when+": ", when+": ", "")+h.tag+": ", skipped
		return h
	}},
	{"IOS after a relay", func(g *maker) header {
		h := header{host: g.name(), tag: g.mnemonic()}
		text, _ := g.counter()
		h.text = g.bsd() + " " + h.host + " " + g.maybe(text) + g.pick("*", ".", "") + g.bsd() + ": " + h.tag + ": "
		return h
	}},
	{"ASA after a relay", func(g *maker) header {
		h := header{host: g.name(), tag: "%ASA-" + g.pick("6-302013", "4-106023", "5-111008")}
		h.text = g.bsd() + " " + h.host + " " + g.date() + " " + g.year() + " " + g.clock() + spacedBefore(g.pick("", g.zone())) + g.pick(": ", " fw-b : ", " 10.1.1.1 : ") + h.tag + ": "
		return h
	}},
	{"UniFi's gateways, Infoblox", func(g *maker) header {
		h := header{host: g.pick("UDM-Pro", "udm", "ns1.example.net", "x"), tag: g.pick("mca-client", "kernel", "named"), pid: g.pick("", g.pid())}
		h.text = g.bsd() + " " + h.host + " " + g.pick(h.host, "10.1.2.3") + " " + tagged(h)
		return h
	}},
	{"ASA", func(g *maker) header {
		h := header{host: g.pick("", "fw-a", "asa.example.net", "10.1.1.1"), tag: "%ASA-" + g.pick("", "session-", "config-") + g.pick("6-302013", "4-106023", "5-111008")}
		zone := g.pick("", g.zone())
		h.text = g.maybe(":") + g.date() + g.pick(" ", " "+g.year()+" ") + g.clock() + spacedBefore(zone)
		if h.host == "" {
			h.text += g.pick(": ", " : ", " ")
		} else {
			h.text += " " + h.host + g.pick(" : ", ": ", " ")
		}
		h.text += h.tag + g.pick(": ", ":")
		h.skipped = zone
		return h
	}},
	{"NX-OS", func(g *maker) header {
		h := header{host: g.pick("", "n9k-1", "leaf.example.net"), tag: "%" + g.pick("ETHPORT-5-IF_UP", "VSHD-5-VSHD_SYSLOG_CONFIG_I", "AUTHPRIV-3-SYSTEM_MSG")}
		zone := g.pick("", g.zone())
		h.text = g.year() + " " + g.date() + " " + g.clock() + g.fraction() + spacedBefore(zone)
		if h.host == "" {
			h.text = g.maybe(": ") + h.text + ": "
		} else {
			h.text += " " + h.host + g.pick(" ", " %$ VDC-1 %$ ")
		}
		h.text, h.skipped = h.text+h.tag+": ", zone
		return h
	}},
	{"IOS XR", func(g *maker) header {
		h := header{host: g.pick("", "xr-a", "asr9k.example.net"), tag: g.pick("config", "ifmgr", "SSHD_"), pid: g.pid()}
		number := fmt.Sprint(g.IntN(100_000))
		h.text = number + ": "
		if h.host != "" {
			h.text += h.host + g.pick(" ", ": ")
		}
		h.text += g.pick("RP/0/RSP0/CPU0", "LC/0/1/CPU0", "0/3/CPU0") + ":" + g.maybe(g.year()+" ") + g.date() + " " + g.clock() + g.pick("", ".123") + " UTC: " + tagged(h) +
			"%MGBL-CONFIG-6-DB_COMMIT : "
		h.skipped = number
		return h
	}},
	{"Cisco wireless", func(g *maker) header {
		h := header{host: g.pick("", "WLC-1"), tag: "%" + g.pick("APF-6-STATE", "DOT1X-3-ABORT")}
		if h.host != "" {
			h.text = h.host + ": "
		}
		h.text += "*" + g.pick("apfMsConnTask_1", "Dot1x_NW_MsgTask_0") + ": " + g.date() + " " + g.clock() + ".123: " + h.tag + ": "
		return h
	}},
	{"Junos", func(g *maker) header {
		h := header{host: g.pick("mx-a", "srx-a-re0", "ex4300.example.net"), tag: g.pick("rpd", "mgd", "chassisd", "/kernel", "RT_FLOW"), pid: g.pick("", g.pid())}
		h.text = g.date() + " " + g.pick(g.clock()+g.fraction(), g.clock()+g.fraction()+" "+g.year(), g.year()+" "+g.clock()) + g.pick(" ", "  ") + h.host + g.pick(" ", "  ") + tagged(h)
		return h
	}},
	{"Arista", func(g *maker) header {
		h := header{host: g.name(), tag: g.pick("Rib", "Ebra", "ConfigAgent", "Lag+LacpAgent")}
		h.text = g.pick(g.date()+" "+g.clock(), g.date()+" "+g.year()+" "+g.clock(), strings.Replace(g.iso(), " ", "T", 1)+"+00:00") + " " + h.host + " " + h.tag + ": %BGP-5-ADJCHANGE: "
		return h
	}},
	{"Huawei and H3C", func(g *maker) header {
		h := header{host: g.pick("AR1", "HUAWEI", "S5735-L", "H3C", "10.1.2.3"), tag: g.pick("%%01SHELL/5/CMDRECORD(l)", "%%10IFNET/3/PHY_UPDOWN(t)", "%%01IFNET/4/IF_STATE")}
		if g.IntN(2) == 0 {
			h.pid = g.pick("5", "73")
		}
		h.text = g.pick(g.date()+" "+g.year()+" "+g.clock(), g.date()+" "+g.year()+" "+g.clock()+g.pick("+08:00", "-03:00"), g.date()+" "+g.year()+" "+g.clock()+"+08:00 DST",
			g.date()+" "+g.clock()+" "+g.year(), g.date()+" "+g.clock()+":123 "+g.year(), g.date()+" "+g.year()+" "+g.clock()+".190.1+08:00",
			strings.Replace(g.iso(), "T", " ", 1)) + " " + h.host + " " + strings.TrimSuffix(tagged(h), " ")
		h.skipped = "DST"
		return h
	}},
	{"without a tag: MikroTik, Fortinet, Palo Alto", func(g *maker) header {
		h := header{host: g.pick("MikroTik", "rb4011.example.net", "10.0.0.1", "fg-a", "PA-VM", "2001:db8::7")}
		h.text = g.pick(g.bsd(), strings.Replace(g.iso(), "T", " ", 1)) + " " + h.host + " " + g.pick("system,info,account user ", `date=2026-11-21 time=03:04:05 devname="fg-a" `,
			"1,2026/11/21 03:04:05,001801,TRAFFIC,end,", "firewall,info forward: ", "dhcp,info dhcp1 ")
		return h
	}},
	{"the same without a time", func(g *maker) header {
		return header{text: g.pick("system,info,account user ", `date=2026-11-21 time=03:04:05 devname="fg-a" `, "1,2026/11/21 03:04:05,001801,TRAFFIC,end,", "firewall,info forward: ")}
	}},
	{"security events", func(g *maker) header {
		h := header{host: g.pick("", g.name()), tag: g.pick("CEF", "LEEF")}
		h.text = g.bsd() + " " + spaced(h.host) + h.tag + ":" + g.pick("0|V|P|1|2|n|5|", "1.0|V|P|")
		return h
	}},
	{"F5", func(g *maker) header {
		h := header{host: g.pick("bigip-a", "slot1/bigip-a", "lb.example.net"), tag: g.pick("tmm3", "mcpd", "httpd", "logger"), pid: g.pick("", g.pid())}
		h.text = g.bsd() + " " + h.host + " " + g.pick("notice ", "err ", "info ", "warning ", "debug ", "") + tagged(h)
		return h
	}},
	{"NetScaler", func(g *maker) header {
		h := header{host: g.pick("", "ns1", "10.0.0.1")}
		h.text = g.pick("", " ") + g.pick("11/21/2026:", "21/11/2026:", "2026/11/21:") + g.clock() + g.pick(" GMT ", "  ") + spaced(h.host) + g.pick("0-PPE-0", "3-PPE-12") + " : "
		h.skipped = "GMT"
		return h
	}},
	{"HP and Aruba", func(g *maker) header {
		h := header{host: g.pick("10.0.0.2", "sw-hp", "[10.1.1.1]"), tag: g.pick("ports", "lldp", "stm", "chassis"), pid: g.pick("", g.pid())}
		h.text = g.pick(g.bsd(), g.bsd()+" "+g.year()) + " " + h.host + " " + g.pick("", "00077 ", "02608 ") + tagged(h)
		h.host = strings.Trim(h.host, "[]")
		return h
	}},
	{"HP without a time", func(g *maker) header {
		h := header{host: g.ip(), tag: g.pick("dca", "lldp", "snmp")}
		h.text = g.pick("", " ") + h.host + " " + g.pick("00077 ", "02608 ") + tagged(h)
		return h
	}},
	{"a facility and a severity before the host, and hosts that are no names", func(g *maker) header {
		h := header{host: g.pick("awplus", "sw-at", "10.1.2.3", "src@web1", "s_net@web1/relay-2", "isilon-3(id3)"), tag: g.pick("IMISH", "sshd", "HSL"), pid: g.pick("", g.pid())}
		level := ""
		if !strings.ContainsAny(h.host, "@(") {
			level = g.pick("", "user.notice", "local7.warning", "auth:info")
		}
		h.text = g.bsd() + " " + spaced(level) + h.host + " " + tagged(h)
		h.skipped = strings.NewReplacer(".", " ", ":", " ").Replace(level)
		return h
	}},
	{"Dell", func(g *maker) header {
		h := header{host: g.pick("10.5.5.5-1", "dell-a"), tag: g.pick("TRAPMGR", "dn_alm", "CLI_WEB"), pid: g.pid()}
		h.text = g.pick("", " ") + g.bsd() + " " + h.host + " " + tagged(h)
		return h
	}},
	{"ESXi", func(g *maker) header {
		h := header{host: g.pick("esx-a.example.net", "esx1"), tag: g.pick("Hostd", "vmkernel", "vobd", "Rhttpproxy"), pid: g.pick("", g.pid())}
		h.text = strings.Replace(g.iso(), " ", "T", 1) + "Z " + h.host + " " + g.pick("", "In(14) ", "Wa(180) ", "Er(11) ") + tagged(h)
		return h
	}},
	{"UniFi", func(g *maker) header {
		device := g.pick("U7LT,788a20aabbcc,v4.0.42.10433", "US8P150,788A20AABBCC,v4.0.42", "788a20aabbcc,U6-Lite-6.6.55+15189")
		h := header{host: device, tag: g.pick("hostapd", "kernel", "switch"), pid: g.pick("", g.pid())}
		switch h.text = g.bsd() + " "; g.IntN(3) {
		case 0:
			h.text += `("` + device + `") `
		case 1:
			h.text += device + ": "
		case 2:
			h.host = g.pick("AP-1", "UDM")
			h.text += h.host + " " + device + ": "
		}
		h.text += tagged(h)
		return h
	}},
	{"BSD, Solaris, AIX", func(g *maker) header {
		h := header{host: g.pick("", "sun-a", "aix-a", "192.0.2.1"), tag: g.pick("sshd", "filterlog", "genunix", "snmpd"), pid: g.pick("", g.pid())}
		switch h.text = g.bsd() + " "; {
		case h.host == "192.0.2.1":
			h.text += "[192.0.2.1.4.1] "
			h.skipped = "4 1"
		case h.host == "aix-a" && g.IntN(2) == 0:
			h.text += g.pick("Message forwarded from aix-a: ", "Forwarded from aix-a: ")
			h.skipped = "Message forwarded from Forwarded from"
		default:
			h.text += spaced(h.host)
		}
		h.text += g.pick("", "auth|security:info ", "daemon:notice ", "user.info ") + tagged(h) + g.pick("", "[ID 800047 auth.info] ")
		return h
	}},
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

func spacedBefore(s string) string { return strings.TrimSuffix(" "+s, " ") }

func tagged(h header) string {
	if h.pid != "" {
		return h.tag + "[" + h.pid + "]: "
	}
	return h.tag + ": "
}

// missing is what of a message is in none of its parts.
func missing(in []byte, m *Message) string {
	left := append([]byte(nil), in...)
	for _, part := range [][]byte{m.Stamp, m.Host, m.Tag, m.PID, m.MsgID, m.Data, m.Text, m.Content} {
		if len(part) > 0 {
			from := cap(in) - cap(part) // all are views of in up to its end
			copy(left[from:], strings.Repeat(" ", len(part)))
		}
	}
	return string(left)
}

// TestFamilies makes headers at random by what families of devices write. Host, tag and pid are found; no byte is in none of the parts but
// for what docs/syslogd.md says is skipped; and the host is never a number, a year or a word. The long form takes another seed each time.
func TestFamilies(t *testing.T) {
	seed, until := uint64(1), time.Time{}
	if os.Getenv("LB_LONG") != "" {
		seed, until = rand.Uint64(), time.Now().Add(10*time.Minute)
	}
	t.Logf("seed %d", seed)
	g := &maker{rand.New(rand.NewPCG(seed, 3))}
	var p Parser
	var m, again Message
	for n := 0; n < 30_000 || time.Now().Before(until); n++ {
		f := families[n%len(families)]
		h := f.make(g)
		text := g.pick("things are as they were", "a: b: c", "<13>Nov 21 03:04:05 x y: z", "2026 was a year", `[x y="z"] t`, "10.0.0.1: what", "error: last message", "|", "100% done", "user=x pid=7")
		in := []byte("<134>" + h.text + text)
		m.Parse(in)
		switch {
		case string(m.Host) != h.host || string(m.Tag) != h.tag || string(m.PID) != h.pid:
			t.Fatalf("%s: %q:\n got host %q tag %q[%q]\nwant host %q tag %q[%q]", f.name, in, m.Host, m.Tag, m.PID, h.host, h.tag, h.pid)
		case !strings.HasSuffix(string(m.Text), text):
			t.Fatalf("%s: %q: the text is %q", f.name, in, m.Text)
		}
		known := " " + h.skipped + " "
		for word := range strings.FieldsFuncSeq(strings.TrimPrefix(missing(in, &m), "<134>"), func(r rune) bool { return strings.ContainsRune(" :*.-[]()\",", r) }) {
			if !strings.Contains(strings.NewReplacer(":", " ", ".", " ", "*", " ").Replace(known), " "+word+" ") {
				t.Fatalf("%s: %q: %q is in no part of it", f.name, in, word)
			}
		}
		p.Parse(&again, in)
		p.Parse(&again, in)
		if string(m.Host)+"|"+string(m.Tag)+"|"+string(m.Text)+"|"+string(m.Content) != string(again.Host)+"|"+string(again.Tag)+"|"+string(again.Text)+"|"+string(again.Content) {
			t.Fatalf("%s: %q is another message the second time", f.name, in)
		}
		m.Time(time.Unix(1795226645, 0))
	}
}
