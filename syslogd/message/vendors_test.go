package message

import (
	"slices"
	"testing"
	"time"
)

// TestVendors has lines as products of many vendors send them in their usual settings, from their documentation: host, tag, pid, time and text, of which
// "*" is any. "here" is a host that was not sent, "now" a time that was not.
func TestVendors(t *testing.T) {
	const at = "2026-11-30T03:04:05"
	zone := time.FixedZone("here", 3600)
	received := time.Date(2026, 11, 30, 9, 0, 0, 0, zone)
	for _, row := range [][6]string{
		{`<189>1 2026-11-30T02:04:05Z FGT60E - - - - eventtime=1`, "FGT60E", "", "", at, "eventtime=1"},
		{`<30>device="SFW" date=2026-11-30 time=03:04:05 timezone="CET" device_name="XG230" x`, "here", "", "", "now", "*"},
		{`<140>Nov 30 03:04:05 Member1 801F0000 firewall: msg_id="3000-0148" Deny`, "Member1", "", "", at, "*"},
		{`<142>Nov 30 03:04:05 M370 70A80 (2026-11-30T02:04:05) loggerd[1234]: x`, "M370", "", "", at, "*"},
		{`<134>  id=firewall sn=18B169 time="2026-11-30 03:04:05 UTC" fw=203.0.113.1 pri=6`, "here", "", "", "now", "*"},
		{`<134>Nov 30 03:04:05 203.0.113.1 id=firewall sn=18B169 time="x"`, "203.0.113.1", "", "", at, "*"},
		{`<134>Nov 30 03:04:05 barracuda WAF: 2026-11-30 03:04:05.123 +0100 x`, "barracuda", "WAF", "", at, "*"},
		{`<23>Nov 30 03:04:05 barracuda scan[12345]: mail`, "barracuda", "scan", "12345", at, "mail"},
		{`<13>Nov 30 03:04:05 fw1 box_Firewall_Activity: Info x`, "fw1", "box_Firewall_Activity", "", at, "Info x"},
		{`<133>ssg5: NetScreen device_id=ssg5  [Root]system-notification-00257(traffic): start_time="2026-11-30 03:04:05"`, "here", "ssg5", "", "now", "*"},
		{`<28>Nov 30 03:04:05  ex-vc fpc0 CMLC: Going disconnected`, "ex-vc", "", "", at, "fpc0 CMLC: Going disconnected"},
		{`<143>2026-11-30 03:04:05,123 10.1.1.1 CPPM_Session 12345 1 0 Common.Username=x`, "10.1.1.1", "", "", at + ".123", "*"},
		{`<190>2026-11-30T02:04:05.123456+00:00 8325-sw ops-switchd[1234]: Event|404|LOG_INFO|AMM|1/1|Link`, "8325-sw", "ops-switchd", "1234", at + ".123", "*"},
		{`<190>Nov 30 03:04:05 sw1 vlan: <Info:vlan.msgs.portLinkStateUp> Slot-1: Port 1:1 link UP`, "sw1", "vlan", "", at, "*"},
		{`<190>Nov 30 03:04:05 10.1.1.1 CP1  [11/30/26 03:04:05.123:CET] 0x00004603 00000000 GlobalRouter SNMP INFO Link up`, "10.1.1.1", "", "", at, "*"},
		{`<14>Nov 30 03:04:05 ICX7150 System: Interface ethernet 1/1/1, state up`, "ICX7150", "System", "", at, "*"},
		{`<13>Nov 30 03:04:05 idrac-SVCTAG Severity: Informational, Category: Audit`, "idrac-SVCTAG", "Severity", "", at, "*"},
		{`<134>Nov 30 03:04:05 10.0.0.1 #ILO 4: 10/02/2018 11:08 XML login`, "10.0.0.1", "", "", at, "*"},
		{`<188>2026-11-30 03:04:05 USG6000 %%01POLICY/6/POLICYDENY(l)[1]:vsys=public`, "USG6000", "%%01POLICY/6/POLICYDENY(l)", "1", at, "vsys=public"},
		{`<190>Nov 30 2026 03:04:05 S5735 %%01SSH/4/SSH_FAIL(s):CID=0x80932713-alarmID=0x;Failed`, "S5735", "%%01SSH/4/SSH_FAIL(s)", "", at, "*"},
		{`<13>Nov 30 03:04:05 UDM-Pro UDM-Pro [WAN_IN-3000-D]IN=eth8 OUT=br0`, "UDM-Pro", "", "", at, "*"},
		{`<134>Nov 30 03:04:05 UDM-SE CEF:0|Ubiquiti|UniFi Network|9.3.33|`, "UDM-SE", "CEF", "", at, "*"},
		{`<14>Nov 30 03:04:05 DiskStation Connection: User [admin] from [x]`, "DiskStation", "Connection", "", at, "*"},
		{`<14>Nov 30 03:04:05 nas Connection: User [admin] from [x]`, "nas", "Connection", "", at, "*"},
		{`<30>Nov 30 03:04:05 NAS01 qlogd[1234]: conn log: Users: admin`, "NAS01", "qlogd", "1234", at, "*"},
		{`<29>Nov 30 03:04:05 isilon-1(id1) isi_mcp[1234]: x`, "isilon-1(id1)", "isi_mcp", "1234", at, "x"},
		{`<14>Nov 30 03:04:05 DP1 [default][0x80e0012c][system][error] domain(default): x`, "DP1", "", "", at, "*"},
		{`<134>Nov 30 03:04:05 zscaler-nss CEF:0|Zscaler|x`, "zscaler-nss", "CEF", "", at, "*"},
		{`<134>Nov 30 03:04:05 zscaler-nss: LEEF:1.0|Zscaler|NSS|4.1|`, "here", "zscaler-nss", "", at, "*"},
		{`<29>Nov 30 03:04:05 proxysg ProxySG: 250017 Authentication failed`, "proxysg", "ProxySG", "", at, "*"},
		{`<164>fenotify-12345.alert: CEF:0|FireEye|MPS|`, "here", "fenotify-12345.alert", "", "now", "*"},
		{`<51>Nov 30 03:04:05 sepm SymantecServer: Site: x`, "sepm", "SymantecServer", "", at, "*"},
		{`<29>1 2026-11-30T02:04:05.0Z epo EPOEvents - EventFwd [agentInfo@3401 tenantId="1"] <?xml`, "epo", "EPOEvents", "", at, "<?xml"},
		{"<36>Nov 30 03:04:05 sms1  7,1,00000002-0002\t\"x\"", "sms1", "", "", at, "*"},
		{`<14>Nov 30 03:04:05 WIN-A Microsoft-Windows-Security-Auditing[624]: An account`, "WIN-A", "Microsoft-Windows-Security-Auditing", "624", at, "An account"},
		{`<29>Nov 30 03:04:05 win-a.example.net Service_Control_Manager: 7036: The`, "win-a.example.net", "Service_Control_Manager", "", at, "7036: The"},
		{`<30>Nov 30 03:04:05 MacBook-Pro com.apple.xpc.launchd[1] (com.apple.x[123]): Service exited`, "MacBook-Pro", "com.apple.xpc.launchd", "1", at, "(com.apple.x[123]): Service exited"},
		{`<30>Nov 30 03:04:05 MacBook-Pro --- last message repeated 2 times ---`, "MacBook-Pro", "", "", at, "*"},
		{`<134>Nov 30 03:04:05 filterlog[12345]: 5,,,1000000103,em0`, "here", "filterlog", "12345", at, "*"},
		{`<134>1 2026-11-30T02:04:05+00:00 fw.local filterlog 12345 - [meta sequenceId="1"] 80,,,`, "fw.local", "filterlog", "12345", at, "80,,,"},
		{`<38>Nov 30 03:04:05 Forwarded from bsd-a: sshd[99]: x`, "bsd-a", "sshd", "99", at, "x"},
		{`<134>Nov 30 03:04:05 NPI0A1B2C printer: paper jam`, "NPI0A1B2C", "printer", "", at, "paper jam"},
		{`<128>Nov 30 03:04:05 10.1.1.1 UPS: On battery power. 0x0109`, "10.1.1.1", "UPS", "", at, "*"},
		{`<14> GS_LOG: [00:0B:82:AA:BB:CC][000][FF01][1.0.5.22] x`, "here", "GS_LOG", "", "now", "*"},
		{`<13>Nov 30 03:04:05 pbx asterisk[123]: NOTICE[456]: x`, "pbx", "asterisk", "123", at, "*"},
		{`<181>Nov 30 03:04:05 ise-a CISE_Passed_Authentications 0000001234 1 0 2026-11-30 03:04:05.123 +01:00 x`, "ise-a", "", "", at, "*"},
		{`<22>Nov 30 03:04:05 esa mail_logs: Info: MID 1 ICID 2`, "esa", "mail_logs", "", at, "*"},
		{`<22>Nov 30 03:04:05 maillog: Info: MID 1`, "here", "maillog", "", at, "*"},
		{`<113>Nov 30 03:04:05 ftd SFIMS: [1:2013504:6] x`, "ftd", "SFIMS", "", at, "*"},
		{`<165>2026-11-30T02:04:05Z ftd : %FTD-5-430003: EventPriority`, "ftd", "%FTD-5-430003", "", at, "EventPriority"},
		{`<165>2026-11-30T02:04:05Z  %FTD-5-430003: EventPriority`, "here", "%FTD-5-430003", "", at, "EventPriority"},
		{`<166>2026-11-30T02:04:05Z: %ASA-6-302013: Built`, "here", "%ASA-6-302013", "", at, "Built"},
		{`<188>%STP-W-PORTSTATUS: gi1: STP status Forwarding`, "here", "%STP-W-PORTSTATUS", "", "now", "*"},
		{`<190>Nov 30 03:04:05 SG350 %AAA-I-CONNECT: New http connection`, "SG350", "%AAA-I-CONNECT", "", at, "*"},
		{`<190>30-Nov-2026 03:04:05 :%LINK-I-Up:  gi5`, "here", "%LINK-I-Up", "", at, "*"},
		{`<186>Nov 30 03:04:05.123 CET leaf101 %LOG_LOCAL7-2-SYSTEM_MSG [F0532][raised][x][sys/y] z`, "leaf101", "", "", at + ".123", "*"},
		{`<190>Nov 30 03:04:05 vedge1 FTMD[1234]: %Viptela-vedge1-ftmd-6-INFO-1400002: Notification:`, "vedge1", "FTMD", "1234", at, "*"},
		{`<141>Nov 30 03:04:05 sh-a sport[1234]: [intercept.NOTICE] - {- -} x`, "sh-a", "sport", "1234", at, "*"},
		{`<134>Nov 30 03:04:05 10.1.1.1 Alteon NOTICE  slb: x`, "10.1.1.1", "", "", at, "*"},
		{`<132>DefensePro: 30-11-2026 03:04:05 WARNING 150 Anomalies`, "here", "DefensePro", "", "now", "*"},
		{`<134>Nov 30 03:04:05 bigip-4.pme.example ASM:unit_hostname="x",management_ip_address="y"`, "bigip-4.pme.example", "", "", at, "*"},
		{`<134>Nov 30 03:04:05 proxy (squid-1)[1234]: 1795226645.123 x`, "proxy", "(squid-1)", "1234", at, "*"},
		{`<14>Nov 30 03:04:05 DD-WRT user.info syslog: x`, "DD-WRT", "syslog", "", at, "x"},
		{`<30>Nov 30 03:04:05 docker1 d2f5a9e8b1c4[1234]: x`, "docker1", "d2f5a9e8b1c4", "1234", at, "x"},
		{`<30>1 2026-11-30T02:04:05.123456+00:00 docker1 name/d2f5 1234 name/d2f5 - x`, "docker1", "name/d2f5", "1234", at + ".123", "x"},
		{`<158>1 2026-11-30T02:04:05.123456+00:00 host heroku router - at=info method=GET`, "host", "heroku", "router", at + ".123", "at=info method=GET"},
		{`<14>1 2026-11-30T02:04:05.123456+00:00 org.space.app 1b2c3d [APP/PROC/WEB/0] - [tags@47450 app_id="1"] x`, "org.space.app", "1b2c3d", "[APP/PROC/WEB/0]", at + ".123", "x"},
		{`<38>Nov 30 03:04:05 sun1 sshd[123]: [ID 800047 auth.info] Accepted`, "sun1", "sshd", "123", at, "*"},
		{`<134>Nov 30 03:04:05 ora1 Oracle Audit[1234]: LENGTH: '160'`, "ora1", "", "", at, "*"},
		{"<14>1 2026-11-30T02:04:05+00:00 SN310A17 asqd - - - \xEF\xBB\xBFid=firewall time=x", "SN310A17", "asqd", "", at, "id=firewall time=x"},
		{`<14>[2026-11-30 03:04:05] EFW: CONN: prio=1`, "here", "", "", "now", "*"},
		{`<134>Nov 30 03:04:05 awplus IMISH[1234]: [admin@ttyS0]show log`, "awplus", "IMISH", "1234", at, "*"},
		{`<189>Nov 30 03:04:05 user.notice awplus IMISH[1830]: x`, "awplus", "IMISH", "1830", at, "x"},
		{`<189>2026 Nov 30 03:04:05 local7.warning awplus HSL[830]: x`, "awplus", "HSL", "830", at, "x"},
		{`<14>2026-11-30T02:04:05.123Z axis-00408c123456 [ INFO    ] httpd[1234]: x`, "axis-00408c123456", "", "", at + ".123", "*"},
		{`<134>Nov 30 03:04:05 SZ-1 Core: @@202,clientJoin,"apMac"=x`, "SZ-1", "Core", "", at, "*"},
		{`<187>Nov 30 03:04:05 10.1.1.1 TMNX: 1234 Base PORT-MINOR-syntax-2006 [Port 1/1/1]:  x`, "10.1.1.1", "TMNX", "", at, "*"},
		{`<134>Nov 30 03:04:05 OS6860 swlogd: ipms _000 INFO x`, "OS6860", "swlogd", "", at, "*"},
		{`<134>Nov 30 03:04:05.123 [local] Sev:8 chassis(1): :x`, "here", "", "", at + ".123", "*"},
		{`<38>Nov 30 03:04:05 src@web1 sshd[1]: x`, "src@web1", "sshd", "1", at, "x"},
		{`<38>Nov 30 03:04:05 s_local@web1/relay1 sshd[1]: x`, "s_local@web1/relay1", "sshd", "1", at, "x"},
		{`<13>Nov 30 03:04:05 host1 LOGSTASH[-]: msg`, "host1", "LOGSTASH", "-", at, "msg"},
		{`<14>Nov 30 03:04:05 app1 [main] INFO  c.e.Foo - msg`, "app1", "", "", at, "*"},
		{`<134>Juniper: 2026-11-30 03:04:05 - ive - [10.0.0.1] System()[] - x`, "here", "Juniper", "", "now", "*"},
		{`<165>Nov 30 03:04:05 darktrace-dt-123 {"creationTime":1}`, "darktrace-dt-123", "", "", at, `{"creationTime":1}`},
		{`<14>Nov 30 03:04:05 cb1 [8] <warning> reason=feed.ingress`, "cb1", "", "", at, "*"},
		{`<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.  %%  Ingredients: Mix=OK`, "mymachine", "myproc", "10", "1987-08-24T05:34:00", "*"},
		{`<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!`, "scapegoat.dmz.example.org", "sched", "0", "1990-10-22T10:52:01", "*"},
		{`<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8`, "mymachine", "su", "", "2026-10-11T22:14:15", "*"},
		{`<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!`, "10.0.0.99", "", "", "2027-02-05T17:32:18", "Use the BFG!"},
		{`Use the BFG!`, "here", "", "", "now", "Use the BFG!"},
		{`Nov 30 03:04:05 h-a app[7]: x`, "h-a", "app", "7", at, "x"},
		{"\n<11>Nov 30 03:04:05 h-a app[7]: x", "h-a", "app", "7", at, "x"},
		{" <11>Nov 30 03:04:05 h-a app[7]: x", "h-a", "app", "7", at, "x"},
		{`<38>Nov 30 03:04:05 mon sshd[1]: x`, "mon", "sshd", "1", at, "x"},
		{`<38>Nov 30 03:04:05 backup sshd[1]: x`, "backup", "sshd", "1", at, "x"},
		{`<38>Nov 30 03:04:05 vault vault[1]: x`, "vault", "vault", "1", at, "x"},
		{`<38>Nov 30 03:04:05 build sshd[1]: x`, "build", "sshd", "1", at, "x"},
		{`<38>Nov 30 03:04:05 h-a app[1234/5]: x`, "h-a", "app", "1234/5", at, "x"},
		{`<38>Nov 30 03:04:05 h-a node[12]:x`, "h-a", "node", "12", at, "x"},
		{`<38>Nov 30 03:04:05 h-a sudo:    root : TTY=pts/0`, "h-a", "sudo", "", at, "*"},
		{`<38>Nov 30 03:04:05 2-floor-sw app: x`, "2-floor-sw", "app", "", at, "x"},
		{`<38>Nov 30 03:04:05 ip-10-1-2-3.eu-west-1.compute.internal app: x`, "ip-10-1-2-3.eu-west-1.compute.internal", "app", "", at, "x"},
		{`<38>Nov 30 03:04:05 host.example.com. app: x`, "host.example.com.", "app", "", at, "x"},
		{`<13>Nov 30 03:04:05 pdu-1 Outlet: 3 on`, "pdu-1", "Outlet", "", at, "3 on"},
		{`<13>Mon Nov 30 2026 03:04:05 GMT+0100 h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>2026-11-30 03:04:05.123 CET h-a app: x`, "h-a", "app", "", at + ".123", "x"},
		{`<13>2026-11-30 03:04:05 AM h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>2026-11-30T03:04:05,123Z h-a app: x`, "h-a", "app", "", "2026-11-30T04:04:05.123", "x"},
		{`<13>Nov 30 03:04:05.123456 +0100 h-a app: x`, "h-a", "app", "", at + ".123", "x"},
		{`<13>Nov-30-2026 03:04:05 h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>30 Nov 03:04:05 h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>Monday, 30 November 2026 03:04:05 h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>November 30 03:04:05 h-a app: x`, "h-a", "app", "", at, "x"},
		{`<13>Sept 30 03:04:05 h-a app: x`, "h-a", "app", "", "2026-09-30T03:04:05", "x"},
		{`<13>1795226645123 h-a app: x`, "here", "", "", "now", "*"},
		{"<13>Nov 30 03:04:05 h\xff\xfea app: x", "h\xff\xfea", "app", "", at, "x"},
		{"<13>Nov 30 03:04:05 h-a a\xffpp: x", "h-a", "", "", at, "*"},
		{"<13>Nov 30 03:04:05 h-a äpp: x", "h-a", "", "", at, "*"},
		{`<13>Nov 30 03:04:05 fe80::1%eth0 app: x`, "fe80::1%eth0", "app", "", at, "x"},
		{`<13>Nov 30 03:04:05 10.1.2.3:514 app: x`, "10.1.2.3", "app", "", at, "x"},
		{`<13>Nov 30 03:04:05 [10.1.2.3]:514 app: x`, "here", "", "", at, "*"},
		{`<13>Nov 30 03:04:05 00:11:22:33:44:55 app: x`, "00:11:22:33:44:55", "app", "", at, "x"},
		{`<13>Nov 30 03:04:05 h-a|app: x`, "here", "h-a|app", "", at, "x"},
		// The first blank word of a text is no name, whatever comes after it.
		{"<13>Nov 30 03:04:05 user.notice things are", "here", "", "", at, "user.notice things are"},
		{"<13>Nov 30 03:04:05 user.notice last app: x", "here", "", "", at, "*"},
		{"<13>Nov 30 03:04:05 a:b:c app: x", "here", "", "", at, "a:b:c app: x"},
		{"<13>Nov 30 03:04:05 src@web1 is up", "here", "", "", at, "src@web1 is up"},
		{"<13>Nov 30 03:04:05 read(id7) is up", "here", "", "", at, "read(id7) is up"},
		{"<13>Nov 30 03:04:05 Forwarded from there", "here", "", "", at, "Forwarded from there"},
		{"<13>Nov 30 03:04:05 10.1.2.3:514 is up", "here", "", "", at, "10.1.2.3:514 is up"},
		{"<13>rtr-a: Nov 30 03:04:05: things", "rtr-a", "", "", at, "things"},
		{"<13>rtr-a: Nov 30 03:04:05 OSPF: things", "rtr-a", "OSPF", "", at, "things"},
		{"<13>rtr-a: *Nov 30 03:04:05 things", "rtr-a", "", "", at, "things"},
		{"<13>app: Nov 30 03:04:05 things", "here", "app", "", "now", "Nov 30 03:04:05 things"},
		{"<13>2026-11-30 12:04:05 PM.5 h-a app: x", "h-a", "app", "", "2026-11-30T12:04:05.5", "x"},
		{"<13>Marching Nov 30 03:04:05 app: x", "here", "", "", "now", "*"},
		{" ", "here", "", "", "now", " "},
		{" x: y", "here", "x", "", "now", "y"},
	} {
		in, want := row[0], row[1:]
		var m Message
		m.Parse([]byte(in))
		got := []string{"here", string(m.Tag), string(m.PID), "now", string(m.Text)}
		if len(m.Host) > 0 {
			got[0] = string(m.Host)
		}
		if sent, ok := m.Time(received); ok {
			got[3] = sent.In(zone).Format("2006-01-02T15:04:05.999")
		}
		if want[4] == "*" {
			want[4] = got[4]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", in, got, want)
		}
	}
}
