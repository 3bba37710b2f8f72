package message

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDevices has headers in the shapes that devices and programs send. A line is the message, and what it means: host, tag, pid, time, text.
// "here" is a host that was not sent, "now" a time that was not.
func TestDevices(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	received := time.Date(2026, 11, 21, 9, 0, 0, 0, zone)
	row := func(in, host, tag, pid, when, text string) {
		t.Helper()
		var m Message
		m.Parse([]byte(in))
		got := []string{"here", string(m.Tag), string(m.PID), "now", string(m.Text)}
		if len(m.Host) > 0 {
			got[0] = string(m.Host)
		}
		if at, ok := m.Time(received); ok {
			got[3] = at.In(zone).Format("2006-01-02T15:04:05.999")
		}
		if want := []string{host, tag, pid, when, text}; strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
	const at = "2026-11-21T03:04:05"
	// A year in the time.
	row("<166>Nov 21 2026 03:04:05 fw-a : %ASA-6-302013: Built", "fw-a", "%ASA-6-302013", "", at, "Built")
	row("<166>Nov 21 2026 03:04:05: %ASA-6-302014: Down", "here", "%ASA-6-302014", "", at, "Down")
	row("<166>Nov 21 03:04:05 fw-a : %ASA-4-106023: Deny", "fw-a", "%ASA-4-106023", "", at, "Deny")
	row("<189>: 2026 Nov 21 03:04:05 UTC: %ETHPORT-5-IF_UP: up", "here", "%ETHPORT-5-IF_UP", "", at, "up")
	row("<189>Nov 21 03:04:05 2026 sw-b %%10SHELL/5/LOGIN: admin", "sw-b", "%%10SHELL/5/LOGIN", "", at, "admin")
	row("<141>Nov 21 03:04:05 2026 wlc-c authmgr[342]: <522008> ok", "wlc-c", "authmgr", "342", at, "<522008> ok")
	row("<28>Nov 21 03:04:05.123 2026 mx-d rpd[77]: up", "mx-d", "rpd", "77", at+".123", "up")
	row("<13>Sat Nov 21 03:04:05 2026 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Sat, 21 Nov 2026 03:04:05 +0000 h-a app: x", "h-a", "app", "", "2026-11-21T04:04:05", "x")
	row("<13>21 Nov 2026 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>21-Nov-2026 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>21/Nov/2026:03:04:05 +0100 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 2026 3:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 2025 03:04:05 h-a app: x", "h-a", "app", "", "2025-11-21T03:04:05", "x")
	row("<13>Nov 21 03:04:05 2001:db8::1 app: x", "2001:db8::1", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 [2001:db8::1] app: x", "2001:db8::1", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 2001:db8::1: app: x", "2001:db8::1", "app", "", at, "x")
	row("<134>Nov 21 03:04:05 2026 [10.1.1.1] authmgr[342]: <522008>", "10.1.1.1", "authmgr", "342", at, "<522008>")
	row("<134>Nov 21 03:04:05 [10.1.1.1] is up", "here", "", "", at, "[10.1.1.1] is up")
	row("<13>Sat Nov 21 03:04:05 CET 2026 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 UTC 2025 h-a app: x", "h-a", "app", "", "2025-11-21T03:04:05", "x")
	row("<13>Nov 21 03:04:05 UTC 2001:db8::1 app: x", "2001:db8::1", "app", "", at, "x")
	row("<13>Nov 21, 2026 3:04:05 PM h-a app: x", "h-a", "app", "", "2026-11-21T15:04:05", "x")
	row("<190>Nov 21 2026 03:04:05.190.1+01:00 hw-a %%01SHELL/5/CMD(s)[73]:Record", "hw-a", "%%01SHELL/5/CMD(s)", "73", at+".19", "Record")
	row("<13>Nov 21 03:04:05 [main] x: y", "here", "", "", at, "[main] x: y")
	row("<13>Nov 21 03:04:05 2001:db8:: app: x", "2001:db8::", "app", "", at, "x")
	// Times that no clock shows: the host and the tag are there all the same.
	row("<13>Nov 21 24:00:00 h-a app[1]: x", "h-a", "app", "1", "now", "x")
	row("<13>Nov 21 23:60:00 h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>Nov 0 03:04:05 h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>Nov 31 03:04:05 h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>0000-00-00T00:00:00Z h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>2026-13-21 03:04:05 h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>1 2026-11-21T24:00:00.5+01:00 h-a app 1 - - x", "h-a", "app", "1", "now", "x")
	row("<13>1 0000-00-00T00:00:00Z h-a app 1 ID - x", "h-a", "app", "1", "now", "x")
	row("<13>1 0000-00-00T00:00:00Z h-a app: x", "h-a", "app", "", "now", "x")
	row("<13>Nov 2 24 words and no time", "here", "", "", "now", "Nov 2 24 words and no time")
	// Cisco's counters, marks, and names before the time.
	row("<189>29: rtr-a: *Nov 21 03:04:05.483 UTC: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", at+".483", "Done")
	row("<189>30: 000028: .Nov 21 03:04:05 UTC: %LINK-3-UPDOWN: x", "here", "%LINK-3-UPDOWN", "", at, "x")
	row("<189>29: *Nov 21 03:04:05.483: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", at+".483", "Done")
	row("<189>82: 00:20:10: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>83: 1w2d: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>84: 3y12w: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>rtr-a: Nov 21 03:04:05.483: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", at+".483", "Done")
	row("<189>85: Nov 21 2026 03:04:05.483 CET: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", at+".483", "Done")
	row("<189>Nov 21 03:04:05 rtr-a 86: *Nov 21 02:59:59.001 XYZT: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<189>Nov 21 03:04:05 10.0.0.1 87: 00:20:10: %SYS-5-CONFIG_I: Done", "10.0.0.1", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<189>Nov 21 03:04:05 sw-a: %LINK-3-UPDOWN: x", "sw-a", "%LINK-3-UPDOWN", "", at, "x")
	row("<189>2: RP/0/RSP0/CPU0:Nov 21 03:04:05.483 UTC: config[65]: %MGBL-SYS-5: x", "here", "config", "65", at+".483", "%MGBL-SYS-5: x")
	row("<166>:Nov 21 03:04:05 EST: %ASA-config-5-111008: User", "here", "%ASA-config-5-111008", "", at, "User")
	row("<189>2: rtr-a RP/0/RSP0/CPU0:Nov 21 03:04:05 UTC: config[65]: %MGBL-SYS-5: x", "rtr-a", "config", "65", at, "%MGBL-SYS-5: x")
	row("<189>2: rtr-a: LC/0/1/CPU0:2026 Nov 21 03:04:05 UTC: ifmgr[22]: %PKT-3-X : x", "rtr-a", "ifmgr", "22", at, "%PKT-3-X : x")
	row("<189>Nov 21 03:04:05 rtr-a 9: RP/0/RSP0/CPU0:Nov 21 03:04:05.483 UTC: config[65]: %MGBL-SYS-5: x", "rtr-a", "config", "65", at, "%MGBL-SYS-5: x")
	row("<189>86: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>87: 000012: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>88: rtr-a: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>88: rtr-a: 000012: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>88: rtr-a: 1d02h: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>rtr-a: 000085: 00:20:10: %SYS-5-CONFIG_I: Done", "rtr-a", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>00:20:10: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>1w2d: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189> %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", "now", "Done")
	row("<189>* Nov 21 03:04:05: %SYS-5-CONFIG_I: Done", "here", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<189>n9k : 2026 Nov 21 03:04:05 UTC: %ETHPORT-5-IF_UP: up", "n9k", "%ETHPORT-5-IF_UP", "", at, "up")
	row("<189>things : 2026 Nov 21", "here", "", "", "now", "things : 2026 Nov 21")
	row("<189>1w2d: things", "here", "1w2d", "", "now", "things")
	row("<189>agent: %SYS-5-CONFIG_I: Done", "here", "agent", "", "now", "%SYS-5-CONFIG_I: Done")
	row("<189>89: 10.1.1.1: *Nov 21 03:04:05: %SYS-5-CONFIG_I: Done", "10.1.1.1", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<189>93: 2001:db8::1: *Nov 21 03:04:05: %SYS-5-CONFIG_I: Done", "2001:db8::1", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<189>93: fe80::1%eth0: 000028: *Nov 21 03:04:05: %SYS-5-CONFIG_I: Done", "fe80::1%eth0", "%SYS-5-CONFIG_I", "", at, "Done")
	row("<190>2026 Nov 21 03:04:05 n9k-1 %$ VDC-1 %$ %ETHPORT-5-IF_UP: up", "n9k-1", "%ETHPORT-5-IF_UP", "", at, "up")
	row("<29>29: text", "here", "", "", "now", "29: text")
	row("<29>2026: text", "here", "", "", "now", "2026: text")
	row("<29>*text", "here", "", "", "now", "*text")
	// No padding, other case, several blanks.
	row("<38>Jul 7 12:42:43 app-a sshd[3086]: one", "app-a", "sshd", "3086", "2026-07-07T12:42:43", "one")
	row("<38>Jul 17 2:42:43 app-a sshd[3086]: four", "app-a", "sshd", "3086", "2026-07-17T02:42:43", "four")
	row("<38>Jul 7 12:42:43: app-a tag: x", "app-a", "tag", "", "2026-07-07T12:42:43", "x")
	row("<38>Nov 9 12:01:01 tbird-admin1 local@tbird-admin1 /apps/x/run-parts[2]: x", "tbird-admin1", "", "", "2026-11-09T12:01:01", "local@tbird-admin1 /apps/x/run-parts[2]: x")
	row("<38>NOV 21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<38>nov  1 03:04:05 h-a app: x", "h-a", "app", "", "2026-11-01T03:04:05", "x")
	row("<38>Nov 21  03:04:05  h-a  app:  x", "h-a", "app", "", at, " x")
	row("<38>Nov  1 03:04:05  h-a\tapp: x", "h-a", "app", "", "2026-11-01T03:04:05", "x")
	row("<38> Nov 21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	// ISO times.
	row("<13>2026-11-21T03:04:05+0100 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>2026-11-21T03:04:05+01 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>2026-11-21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>2026-11-21 03:04:05,123 h-a app: x", "h-a", "app", "", at+".123", "x")
	row("<13>2026-11-21 02:04:05 +0000 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>2026/11/21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>2026-11-21T03:04:05.123456789123Z h-a app: x", "h-a", "app", "", "2026-11-21T04:04:05.123", "x")
	row("<13>2026-02-30T03:04:05Z h-a app: x", "h-a", "app", "", "now", "x")
	// Zones.
	row("<13>Nov 21 03:04:05 CET h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 GMT+1 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 UTC+01:00 h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 +00:00 h-a app: x", "h-a", "app", "", "2026-11-21T04:04:05", "x")
	row("<13>Nov 21 03:04:05 UTC: h-a app: x", "h-a", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 CRON: x", "here", "CRON", "", at, "x")
	row("<13>Nov 21 03:04:05 DBSRV app: x", "DBSRV", "app", "", at, "x")
	// No blank after the tag.
	row("<166>%ASA-6-302013:Built", "here", "%ASA-6-302013", "", "now", "Built")
	row("<166>Nov 21 03:04:05 fw-a %ASA-6-302013:Built", "fw-a", "%ASA-6-302013", "", at, "Built")
	row("<13>Nov 21 03:04:05 sw-h %%01IFNET/4/IF_STATE(l)[5]:Interface", "sw-h", "%%01IFNET/4/IF_STATE(l)", "5", at, "Interface")
	row("<13>Nov 21 03:04:05 host CEF:0|V|P|1|2|n|5|src=1", "host", "CEF", "", at, "0|V|P|1|2|n|5|src=1")
	row("<13>Nov 21 03:04:05 CEF:0|V|P|1|2|n|5|src=1", "here", "CEF", "", at, "0|V|P|1|2|n|5|src=1")
	row("<13>Nov 21 03:04:05 192.0.2.7 LEEF:1.0|V|P|1|2|src=1", "192.0.2.7", "LEEF", "", at, "1.0|V|P|1|2|src=1")
	row("<13>LEEF:2.0|V|P|1|2|src=1", "here", "LEEF", "", "now", "2.0|V|P|1|2|src=1")
	row("<13>Nov 21 03:04:05 h-a a:b c", "h-a", "", "", at, "a:b c")
	// UniFi, AIX, F5, NetApp, MikroTik, Palo Alto, Snare, loggers with key=value.
	row(`<30>Nov 21 03:04:05 ("U7LT,788a20aabbcc,v4.0.42.10433") hostapd: ath0: STA`, "U7LT,788a20aabbcc,v4.0.42.10433", "hostapd", "", at, "ath0: STA")
	row("<30>Nov 21 03:04:05 U7PG2,788a20aabbcc,v4.3.20.11298: hostapd[9]: ath0", "U7PG2,788a20aabbcc,v4.3.20.11298", "hostapd", "9", at, "ath0")
	row("<30>Nov 21 03:04:05 AP-Office 788a20aabbcc,UAP-AC-Pro-Gen2-6.5.28+14491: hostapd[3454]: x", "AP-Office", "hostapd", "3454", at, "x")
	row("<38>Nov 21 03:04:05 Message forwarded from aix-a: sshd[99]: x", "aix-a", "sshd", "99", at, "x")
	row("<38>Nov 21 03:04:05 Message forwarded from aixa: last message repeated 2 times", "aixa", "", "", at, "last message repeated 2 times")
	row("<134>Nov 21 03:04:05 slot1/bigip-a notice tmm[1]: x", "slot1/bigip-a", "tmm", "1", at, "x")
	row("<134>Nov 21 03:04:05 notice tmm[1]: x", "here", "tmm", "1", at, "x")
	row("<13>Nov 21 03:04:05 [filer-a:raid.scrub:notice]: x", "here", "", "", at, "[filer-a:raid.scrub:notice]: x")
	row("<30>Nov 21 03:04:05 MikroTik system,info,account user admin", "MikroTik", "", "", at, "system,info,account user admin")
	row("<14>Nov 21 03:04:05 PA-220 1,2026/11/21 03:04:05,01,TRAFFIC", "PA-220", "", "", at, "1,2026/11/21 03:04:05,01,TRAFFIC")
	row("<13>Nov 21 03:04:05 win-a MSWinEventLog\t1\tSecurity", "win-a", "", "", at, "MSWinEventLog\t1\tSecurity")
	row(`<189>date=2026-11-21 time=03:04:05 devname="FGT" type=event`, "here", "", "", "now", `date=2026-11-21 time=03:04:05 devname="FGT" type=event`)
	row("<13>Nov 21 03:04:05 - app: x", "here", "app", "", at, "x")
	// Zones glued to the time, halves of the day, numbers alone, seconds since 1970, other separators.
	row("<134>Nov 21 03:04:05+01:00 10.0.0.1 Action=\"accept\"", "10.0.0.1", "", "", at, `Action="accept"`)
	row("<190>Nov 21 2026 03:04:05+01:00 DST hw-a %%01SHELL/5/LOGIN(l): x", "hw-a", "%%01SHELL/5/LOGIN(l)", "", at, "x")
	row("<190>Nov 21 2026 02:04:05Z hw-a app: x", "hw-a", "app", "", at, "x")
	row("<190>Nov 21 03:04:05:123 2026 H3C %%10SHELL/5/LOGIN: x", "H3C", "%%10SHELL/5/LOGIN", "", at+".123", "x")
	row("<134>123: cucm1: Nov 21 2026 03:04:05 PM.123 UTC :  %UC_AUDITLOG-5-x: z", "cucm1", "%UC_AUDITLOG-5-x", "", "2026-11-21T15:04:05.123", "z")
	row("<134>Nov 21 2026 12:04:05 AM h-a app: x", "h-a", "app", "", "2026-11-21T00:04:05", "x")
	row("<134>Nov 21 03:04:05 AM app: x", "here", "app", "", at, "x")
	row("<134>Nov 21 03:04:05 AM. app: x", "AM.", "app", "", at, "x")
	row("<134>Nov 21 03:04:05 PM: x", "here", "PM", "", at, "x")
	row("<134> 11/21/2026:03:04:05 GMT ns1 0-PPE-0 : default TCP", "ns1", "", "", at, "0-PPE-0 : default TCP")
	row("<134> 11/21/2026:03:04:05 GMT  0-PPE-0 : default TCP", "here", "", "", at, "0-PPE-0 : default TCP")
	row("<134> 2026/11/21:03:04:05 GMT ns1 0-PPE-0 : default TCP", "ns1", "", "", at, "0-PPE-0 : default TCP")
	row("<134>21/11/2026 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<134>12/11/2026 03:04:05 h-a app: x", "h-a", "app", "", "2026-11-12T03:04:05", "x") // what is nearer to now
	row("<134>11.12.2026 3:04:05 PM h-a app: x", "h-a", "app", "", "2026-11-12T15:04:05", "x")
	row("<134>11/31/2026 03:04:05 h-a app: x", "h-a", "app", "", "now", "x")
	row("<134>13/14/2026 03:04:05 h-a app: x", "here", "", "", "now", "13/14/2026 03:04:05 h-a app: x")
	row("<134>1 1795226645.123456789 MX84 urls src=10.0.0.1:1", "MX84", "", "", at+".123", "urls src=10.0.0.1:1")
	row("<134>1795226645.5 h-a app: x", "h-a", "app", "", at+".5", "x")
	row("<134>1795226645 h-a app: x", "here", "", "", "now", "1795226645 h-a app: x")
	row("<30>2026:11:21-03:04:05 utm ulogd[1]: x", "utm", "ulogd", "1", at, "x")
	row("<30>2026/11/21-03:04:05 sw-a raslogd: x", "sw-a", "raslogd", "", at, "x")
	// Cisco's counters after the name, its own data, its wireless controllers; switches of a stack; severities in other forms; Solaris.
	row("<189>123: sw-1: 000456: Nov 21 03:04:05.123 UTC: %LINK-5-CHANGED: x", "sw-1", "%LINK-5-CHANGED", "", at+".123", "x")
	row(`<189>123: [syslog@9 s_id="10.1.1.1:514"]: Nov 21 03:04:05.123: %SYS-5-CONFIG_I: x`, "here", "%SYS-5-CONFIG_I", "", at+".123", "x")
	row("<134>WLC-1: *apfMsConnTask_1: Nov 21 03:04:05.123: %APF-6-STATE: x", "WLC-1", "%APF-6-STATE", "", at+".123", "x")
	row("<134>*apfMsConnTask_1: Nov 21 03:04:05.123: %APF-6-STATE: x", "here", "%APF-6-STATE", "", at+".123", "x")
	row("<134>WLC-1: *apfMsConnTask_1: text", "here", "WLC-1", "", "now", "*apfMsConnTask_1: text")
	row("<134> Nov 21 03:04:05 10.0.0.3-1 TRAPMGR[1]: x", "10.0.0.3-1", "TRAPMGR", "1", at, "x")
	row("<13>2026-11-21T02:04:05.123Z esx1 In(14) vmkernel[1]: x", "esx1", "vmkernel", "1", at+".123", "x")
	row("<13>2026-11-21T02:04:05.123Z In(14) vmkernel[1]: x", "here", "vmkernel", "1", at+".123", "x")
	row("<38>Nov 21 03:04:05 aix1 auth|security:info sshd[123]: x", "aix1", "sshd", "123", at, "x")
	row("<14>Nov 21 03:04:05 user.info kernel: x", "here", "kernel", "", at, "x")
	row("<14>Nov 21 03:04:05 local0.notice app[4]: x", "here", "app", "4", at, "x")
	row("<38>Nov 21 03:04:05 [192.0.2.1.4.1] sshd[123]: x", "192.0.2.1", "sshd", "123", at, "x")
	row("<30>Nov 21 03:04:05 AP 788a20aabbcc,U6-Lite-6.6.55+15189: : wevent[1]: x", "AP", "wevent", "1", at, "x")
	row("<30>Nov 21 03:04:05 U7PG2,788a20aabbcc,v4.3.20 hostapd: x", "U7PG2,788a20aabbcc,v4.3.20", "hostapd", "", at, "x")
	row(`<134>Nov 21 03:04:05 Zyxel src="192.0.2.1:1" msg="x"`, "Zyxel", "", "", at, `src="192.0.2.1:1" msg="x"`)
	row("<38>Nov 21 03:04:05 above message repeats 3 times", "here", "", "", at, "above message repeats 3 times")
	row("<13>Nov 21 03:04:05 error: %d things", "here", "error", "", at, "%d things")
	row("<13>warning: Nov 21 03:04:05 things", "here", "warning", "", "now", "Nov 21 03:04:05 things")
	// A relay's header before the time of a Cisco; a host twice; the number of a container; numbers of a date with dashes.
	row("<166>Nov 21 03:04:05 10.1.1.1 Nov 21 2026 03:04:04: %ASA-6-302013: Built", "10.1.1.1", "%ASA-6-302013", "", at, "Built")
	row("<166>Nov 21 03:04:05 relay-a Nov 21 2026 03:04:04 fw-b : %ASA-6-302013: Built", "relay-a", "%ASA-6-302013", "", at, "Built")
	row("<189>Nov 21 03:04:05 10.1.1.1 : Nov 21 03:04:04.123 UTC: %SYS-5-CONFIG_I: x", "10.1.1.1", "%SYS-5-CONFIG_I", "", at, "x")
	row("<189>Nov 21 03:04:05 10.1.1.1 2026-11-21T03:04:04Z: %SYS-5-CONFIG_I: x", "10.1.1.1", "%SYS-5-CONFIG_I", "", at, "x")
	row("<189>Nov 21 03:04:05 h-a Nov 21 03:04:04 was a bad moment: x", "h-a", "", "", at, "Nov 21 03:04:04 was a bad moment: x")
	row("<13>Nov 21 03:04:05 UDM-Pro UDM-Pro mca-client[1]: x", "UDM-Pro", "mca-client", "1", at, "x")
	row("<30>Nov 21 03:04:05 ns1.example.net 10.1.1.1 named[26926]: x", "ns1.example.net", "named", "26926", at, "x")
	row("<13>Nov 21 03:04:05 ns1 10.1.1.1 is up", "ns1", "", "", at, "10.1.1.1 is up")
	row("<13>Nov 21 03:04:05 web web is up", "web", "", "", at, "web is up")
	row("<30>Nov 21 03:04:05 h-a 123456789012[4711]: x", "h-a", "123456789012", "4711", at, "x")
	row("<30>Nov 21 03:04:05 123456789012[4711]: x", "here", "123456789012", "4711", at, "x")
	row("<30>Nov 21 03:04:05 h-a 2026[4711]: x", "h-a", "", "", at, "2026[4711]: x")
	row("<134>21-11-2026 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<134>11-21-2026 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<134>DefensePro: 21-11-2026 03:04:05 WARNING 150 Anomalies x", "here", "DefensePro", "", "now", "21-11-2026 03:04:05 WARNING 150 Anomalies x")
	row("<13>Nov 21 03:04:05 spanning tree changed", "here", "", "", at, "spanning tree changed")
	row("<13>Nov 21 03:04:05 topology change", "here", "", "", at, "topology change")
	row("<13>Nov 21 03:04:05 authentication failure; logname=", "here", "", "", at, "authentication failure; logname=")
	row("<13>Nov 21 03:04:05 dns named[7]: x", "dns", "named", "7", at, "x")
	// HP's number of the event; an address without a time.
	row("<134>Nov 21 03:04:05 10.0.0.2 00077 ports: port 3", "10.0.0.2", "ports", "", at, "port 3")
	row("<134>Nov 21 03:04:05 sw-a 77 ports: port 3", "sw-a", "", "", at, "77 ports: port 3")
	row("<134>10.0.0.2 00077 ports: port 3", "10.0.0.2", "ports", "", "now", "port 3")
	row("<134>10.0.0.2 lldp: port 3", "10.0.0.2", "lldp", "", "now", "port 3")
	row("<134>10.0.0.2 failed: port 3", "here", "", "", "now", "10.0.0.2 failed: port 3")
	row("<134> 2001:db8::1 ports[7]: port 3", "2001:db8::1", "ports", "7", "now", "port 3")
	row("<134>10.0.0.2 - - [21/Nov/2026:03:04:05 +0000] x", "here", "", "", "now", "10.0.0.2 - - [21/Nov/2026:03:04:05 +0000] x")
	row("<134>10.0.0.2 connected", "here", "", "", "now", "10.0.0.2 connected")
	row("<134>10.0.0.2:4711 [21/Nov/2026:03:04:05.123] fe be/s: x", "here", "", "", "now", "10.0.0.2:4711 [21/Nov/2026:03:04:05.123] fe be/s: x")
	row("<134>sw-a ports: port 3", "here", "", "", "now", "sw-a ports: port 3")
	// Words and numbers are no hosts; names are, with a tag after them or in the form of a name.
	row("<13>Nov 21 03:04:05 last message repeated 3 times", "here", "", "", at, "last message repeated 3 times")
	row("<13>Nov 21 03:04:05 loghost last message repeated 3 times", "loghost", "", "", at, "last message repeated 3 times")
	row("<13>Nov 21 03:04:05 Connection closed by 192.0.2.1", "here", "", "", at, "Connection closed by 192.0.2.1")
	row("<13>Nov 21 03:04:05 server app: x", "server", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 error app: x", "here", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 Failed password: x", "here", "", "", at, "Failed password: x")
	row("<13>Nov 21 03:04:05 connection error: x", "here", "", "", at, "connection error: x")
	row("<13>Nov 21 03:04:05 last app: x", "here", "", "", at, "last app: x")
	row("<13>Nov 21 03:04:05 loghost error: x", "loghost", "error", "", at, "x")
	row("<13>Nov 21 03:04:05 Loghost app: x", "Loghost", "app", "", at, "x")
	row("<13>Nov 21 03:04:05 2026 things", "here", "", "", at, "things")
	row("<13>Nov 21 03:04:05 17 things", "here", "", "", at, "17 things")
	row("<13>Nov 21 03:04:05 03:04:05 things", "here", "", "", at, "03:04:05 things")
	row("<13>Nov 21 03:04:05 /usr/sbin/cron[7]: x", "here", "/usr/sbin/cron", "7", at, "x")
	row("<13>Nov 21 03:04:05 a=b c", "here", "", "", at, "a=b c")
	row("<13>Nov 21 03:04:05 büro-a app: x", "büro-a", "app", "", at, "x")
	// Byte order marks.
	row("\xEF\xBB\xBF<11>Nov 21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<11>\xEF\xBB\xBFNov 21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<11>Nov 21 03:04:05 h-a app: \xEF\xBB\xBF{\"k\":1}", "h-a", "app", "", at, `{"k":1}`)
	row("<11>Nov 21 03:04:05 h-a \xEF\xBB\xBFapp: x", "h-a", "app", "", at, "x")
	row("<11>Nov 21 03:04:05 \xEF\xBB\xBFh-a app: x", "h-a", "app", "", at, "x")
	// RFC 5424 with odd or missing parts.
	row("<14>1 2026-11-21T03:04:05 n-a app 8 - - x", "n-a", "app", "8", at, "x")
	row("<14>1 2026-11-21T03:04:05 n-a app[8]: x and more", "n-a", "app", "8", at, "x and more")
	row("<14>1  2026-11-21T03:04:05+01:00  n-a  app  8  -  -  x", "n-a", "app", "8", at, " x")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 -   two blanks", "n-a", "app", "8", at, "  two blanks")
	row("<134>1 2026-11-21T02:04:05+00:00 host-a app-b web.3 - State is up", "host-a", "app-b", "web.3", at, "State is up")
	row("<134>1 2026-11-21T03:04:05.635+01:00 lb-a haproxy 7 - ==sd== GET /", "lb-a", "haproxy", "7", at+".635", "==sd== GET /")
	row("<14>1 2026-11-21T03:04:05+0100 n-a slurmd 8 - [77123] job starts", "n-a", "slurmd", "8", at, "[77123] job starts")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - [error] disk full", "n-a", "app", "8", at, "[error] disk full")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - -job done", "n-a", "app", "8", at, "-job done")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - -- job done", "n-a", "app", "8", at, "-- job done")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - ", "n-a", "app", "8", at, "")
	row(`<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - [x y="1"]no space`, "n-a", "app", "8", at, "no space")
	row(`<14>1 2026-11-21T03:04:05+01:00 n-a app 8 - [x y="1" no end`, "n-a", "app", "8", at, `[x y="1" no end`)
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app 8 ID47 last message repeated", "n-a", "app", "8", at, "last message repeated")
	row("<14>1  2026-11-21T03:04:05+01:00  n-a  app 8 - - x", "n-a", "app", "8", at, "x")
	row(`<14>1 2026-11-21T03:04:05+01:00 gw-a CheckPoint 43 - [action:"Drop"; msg:"a ] b"]`, "gw-a", "CheckPoint", "43", at, "")
	row("<14>1 2026-11-21T03:04:05+01:00 n-a app", "n-a", "app", "", at, "")
	row("<14>1 Nov 21 03:04:05 h-a app: x", "h-a", "app", "", at, "x")
	row("<14>1 fine day", "here", "", "", "now", "1 fine day")
}

// TestNearestYear has New Year both ways, and the day that not every year has.
func TestNearestYear(t *testing.T) {
	row := func(received, sent, want string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, received)
		if err != nil {
			t.Fatal(err)
		}
		var m Message
		m.Parse([]byte("<13>" + sent + " h a: x"))
		got, _ := m.Time(at)
		if got := got.Format(time.RFC3339); got != want {
			t.Errorf("%q received at %s is %s; want %s", sent, received, got, want)
		}
	}
	row("2026-12-31T23:59:59Z", "Jan  1 00:00:00", "2027-01-01T00:00:00Z")
	row("2026-12-31T16:00:00Z", "Jan  1 01:00:00", "2027-01-01T01:00:00Z")
	row("2027-01-01T00:00:00Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z")
	row("2027-01-01T00:00:00Z", "Jan  1 00:00:01", "2027-01-01T00:00:01Z")
	row("2029-01-05T00:00:00Z", "Feb 29 10:00:00", "2028-02-29T10:00:00Z")
	row("2027-12-05T00:00:00Z", "Feb 29 10:00:00", "2028-02-29T10:00:00Z")
	row("2028-03-05T00:00:00Z", "Feb 29 10:00:00", "2028-02-29T10:00:00Z")
	row("2026-03-05T00:00:00Z", "Feb 29 10:00:00", "2026-03-05T00:00:00Z") // in no year that is near
	row("2026-03-05T00:00:00Z", "Feb 30 10:00:00", "2026-03-05T00:00:00Z")
	row("2026-11-21T09:00:00Z", "Nov 21 08:59:60", "2026-11-21T09:00:00Z")
	row("2026-11-21T09:00:00Z", "May 24 08:00:00", "2026-05-24T08:00:00Z")
	row("2026-11-21T09:00:00Z", "May 21 08:00:00", "2027-05-21T08:00:00Z")
	row("1970-01-01T00:00:30Z", "Nov 21 08:00:00", "1969-11-21T08:00:00Z")
}

// words are what texts begin with.
var words = strings.Fields(wordsOfTexts + " " + wordsOfHosts + " " + levels + ` The Message From Failed Connection Accepted Warning`)

// TestGrammarOfDevices makes headers at random by what families of devices write, and holds that host, tag, pid and text are found, and that the
// host is never a number, a year or a word. The long form takes another seed each time.
func TestGrammarOfDevices(t *testing.T) {
	seed, until := uint64(1), time.Time{}
	if os.Getenv("LB_LONG") != "" {
		seed, until = rand.Uint64(), time.Now().Add(10*time.Minute)
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for n := 0; n < 40_000 || time.Now().Before(until); n++ {
		day, hour := 1+random.IntN(28), random.IntN(24)
		mon := pick("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
		mon = pick(mon, mon, mon, strings.ToUpper(mon), strings.ToLower(mon))
		date := mon + " " + fmt.Sprintf(pick("%d", "%2d", "%02d"), day)
		clock := fmt.Sprintf(pick("%d", "%02d"), hour) + fmt.Sprintf(":%02d:%02d", random.IntN(60), random.IntN(60)) + pick("", "", ".123", ".123456")
		blank := pick(" ", " ", " ", "  ")
		stamp := pick(
			date+blank+clock, date+blank+clock, date+" 2026 "+clock, "2026 "+date+" "+clock, date+" "+clock+" 2026",
			date+" "+clock+"+0100", date+" 2026 "+clock+"-07:30", fmt.Sprintf("%d/11/2026%s%s", day, pick(" ", ":", ", "), clock),
			fmt.Sprintf("%d.%03d", 1_700_000_000+random.IntN(100_000_000), random.IntN(1000)), fmt.Sprintf("2026/11/%02d-%02d:59:01", day, hour),
			fmt.Sprintf("2026-%02d-%02d", 1+random.IntN(12), day)+pick("T", " ")+fmt.Sprintf("%02d:%02d:%02d", hour, random.IntN(60), random.IntN(60))+
				pick("", ".5", ",25")+pick("", "Z", "+01:00", "-0730", "+02"),
		)
		zone := pick("", "", "", " UTC", " CET", " EST")
		if strings.ContainsAny(stamp, "-+") {
			zone = ""
		}
		host := pick("", "fw-a", "rtr1", "10.1.2.3", "host.example.net", "2001:db8::7", "Büro1", "sw_2", "loghost", "node17", "WINSRV", "10.1.2.3-1", "slot1/big-a")
		before := pick("", "", "", "", pick("notice", "err", "In(14)", "user.info", "auth|security:info")+" ")
		tag := pick("sshd", "kernel", "postfix/smtpd", "app", "my-app.v2", "CRON", "%ASA-6-302013", "%SYS-5-CONFIG_I", "systemd-logind", "(systemd)", "%%10SHELL/5/LOGIN")
		pid := pick("", "", "1", "31337")
		text := pick("hello world", "a: b: c", "<13>Nov 21 03:04:05 x y: z", "2026 was a year", "[x y=\"z\"] t", "10.0.0.1: what", "x")
		counter := pick("", "", "", fmt.Sprintf("%d: ", random.IntN(1e6)), fmt.Sprintf("%d: %06d: ", random.IntN(100), random.IntN(1e6)))
		mark := ""
		if counter != "" {
			mark = pick("", "*", ".")
		}
		after := pick("", "", ":")
		in := "<134>" + counter + mark + stamp + zone + after + blank
		if host != "" {
			in += host + blank
		}
		in += before + tag
		if pid != "" {
			in += "[" + pid + "]"
		}
		in += ": " + text
		var m Message
		m.Parse([]byte(in))
		if string(m.Host) != host || string(m.Tag) != tag || string(m.PID) != pid || string(m.Text) != text || m.Kind == NoStamp {
			t.Fatalf("%q:\n got host %q tag %q[%q] text %q (stamp %q)\nwant host %q tag %q[%q]", in, m.Host, m.Tag, m.PID, m.Text, m.Stamp, host, tag, pid)
		}
		// The same with a text alone.
		text = strings.Join([]string{pick(words...), pick("2026", "17", "things", "error:", pick(words...)), "and", "more"}, " ")
		if random.IntN(4) == 0 {
			text = pick("2026", "3", "1.5", "12,5", "0", "1970") + " " + text
		}
		in = "<134>" + counter + mark + stamp + zone + after + blank + text
		m.Parse([]byte(in))
		if len(m.Host) > 0 || !strings.HasSuffix(in, string(m.Content)) || !strings.Contains(string(m.Content), "and more") {
			t.Fatalf("%q has host %q and content %q", in, m.Host, m.Content)
		}
	}
}

// FuzzHeaders has whatever bytes where a header may be. No byte of a message may be missing in its parts, but for what stands before the host or
// the tag, a blank, a colon, and what is skipped by docs/syslogd.md; and the host is no number and no word of the lists, written as words are.
func FuzzHeaders(f *testing.F) {
	for _, head := range []string{
		"Nov 21 03:04:05 h-a app[1]: x", "29: rtr-a: 000028: *Nov 21 03:04:05.483 UTC: %SYS-5-CONFIG_I: Done", "1 2026-11-21T03:04:05Z h app 1 ID [a@1 b=\"c\"] x",
		"WLC-1: *apfMsConnTask_1: Nov 21 03:04:05.123: %APF-6-STATE: x", "2026:11:21-03:04:05 utm ulogd[1]: x", "1 1795226645.12 MX84 urls src=1",
		"[syslog@9 s_id=\"1\"]: Nov 21 03:04:05: %A-1-B: x", "Nov 21 03:04:05 [192.0.2.1.4.1] auth|security:info sshd[123]: x", "11/21/2026:03:04:05 GMT ns1 0-PPE-0 : x",
		"Nov 21 03:04:05 AP 788a20aabbcc,U6-Lite-6.6.55+15189: : wevent[1]: x", "Nov 21 2026 12:04:05 AM.1 h-a In(14) a: \xef\xbb\xbfx",
	} {
		f.Add([]byte(head), []byte("0 text"))
	}
	f.Fuzz(func(t *testing.T, head, text []byte) {
		text = append([]byte("|"), append(text, '|')...)
		in := append(append([]byte("<13>"), head...), text...)
		var m, again Message
		m.Parse(in)
		if !bytes.HasSuffix(m.Text, text) && !bytes.HasSuffix(m.Data, text) && !bytes.HasSuffix(m.Content, text) && !bytes.Contains(m.Host, []byte("|")) && !m.RFC5424 {
			t.Errorf("%q: the text is %q", in, m.Text)
		}
		host := m.Host
		if plain, _ := isPlain(host); !m.RFC5424 && len(host) > 0 && (digits(host) == len(host) || plain && isOnlyText(host)) { // "eXit" is a name
			t.Errorf("%q: the host is %q", in, host)
		}
		// A parser that has just seen the message takes the next one apart in the same way.
		var p Parser
		p.Parse(&again, in)
		p.Parse(&again, in)
		for i, pair := range [][2][]byte{{m.Host, again.Host}, {m.Tag, again.Tag}, {m.PID, again.PID}, {m.Text, again.Text}, {m.Content, again.Content}, {m.Stamp, again.Stamp}, {m.Data, again.Data}} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%q: part %d is %q, and the second time %q", in, i, pair[0], pair[1])
			}
		}
		m.Time(time.Unix(1795226645, 0))
	})
}

func BenchmarkParseRelayedLine(b *testing.B) {
	lines := make([][]byte, 64)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, "<38>Nov 21 03:%02d:05 web%d sshd[%d]: Accepted publickey for root from 192.0.2.7 port 4711 ssh2", i%60, i%7, 1000+i)
	}
	var m Message
	i := 0
	for b.Loop() {
		m.Parse(lines[i&63])
		i++
	}
}

func BenchmarkParse5424Line(b *testing.B) {
	line := []byte(`<165>1 2026-11-21T03:04:05.000003Z web1 app 77 ID47 [a@1 k="v"][meta sequenceId="9"] Accepted publickey for root from 192.0.2.7`)
	var m Message
	for b.Loop() {
		m.Parse(line)
	}
}

func BenchmarkParsePlainHosts(b *testing.B) {
	for _, host := range []string{"localhost", "fw-a", "192.0.2.7", "web.example.net", "WINSRV"} {
		b.Run(host, func(b *testing.B) {
			line := []byte("<38>Nov 21 03:04:05 " + host + " sshd[1000]: Accepted publickey for root from 192.0.2.7 port 4711 ssh2")
			var m Message
			for b.Loop() {
				m.Parse(line)
			}
		})
	}
}
