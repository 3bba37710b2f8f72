package rule

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// fixMessage is a message of FIX with a right length and checksum.
func fixMessage(version, body string) string {
	m := "8=" + version + "\x019=" + fmt.Sprint(len(body)) + "\x01" + body
	sum := byte(0)
	for _, c := range []byte(m) {
		sum += c
	}
	return fmt.Sprintf("%s10=%03d\x01", m, sum)
}

// mqtt is a packet.
func mqtt(kind byte, body string) string { return string([]byte{kind, byte(len(body))}) + body }

func mqttText(s string) string { return string([]byte{0, byte(len(s))}) + s }

// protocolSamples are first messages of FIX and MQTT with what is read of them.
func protocolSamples() (list []string) {
	good := fixMessage("FIX.4.4", "35=A\x0149=me\x0156=you\x01108=30\x01")
	for _, m := range []string{
		good, good[:20], good[:len(good)-1], strings.Replace(good, "10=", "10=1", 1), strings.Replace(good, "49=me", "49=mx", 1), fixMessage("FIX.9", "35=A\x01"), fixMessage("FIXT.1.1", "35=A\x01"),
		fixMessage("FIX.4.2", "49=A\x0135=x\x01"), fixMessage("FIX.4.2", "35=\x01"), fixMessage("FIX.4.2", "35=A\x01x=y\x01"), "hello", "8=FIX.4.4\x019=x\x01",
	} {
		b := "bin(" + hex.EncodeToString([]byte(m)) + "),"
		list = append(list, b+"fix_is_valid", b+"fix_tag_value(MsgType),hex", b+"fix_tag_value(108)", b+"fix_tag_value(checksum)", b+"fix_tag_value(7)")
	}
	v3 := mqtt(0x10, mqttText("MQIsdp")+"\x03\xc6\x00\x3c"+mqttText("id")+mqttText("topic")+mqttText("last words")+mqttText("bob")+mqttText("pw"))
	v4 := mqtt(0x10, mqttText("MQTT")+"\x04\x02\x00\x0a"+mqttText("me"))
	v5 := mqtt(0x10, mqttText("MQTT")+"\x05\x86\x00\x3c\x08\x11\x00\x00\x00\x0a\x21\x00\x14"+mqttText("id")+"\x02\x01\x01"+mqttText("t")+mqttText("w")+mqttText("bob"))
	for _, m := range []string{v3, v4, v5, v4[:8], v4 + "x", mqtt(0x11, v4[2:]), mqtt(0x10, mqttText("MQTT")+"\x06\x02\x00\x0a"+mqttText("me")), mqtt(0x10, mqttText("MQTT")+"\x04\x02\x00\x0a"), "GET / HTTP/1.1\r\n", "\x10"} {
		b := "bin(" + hex.EncodeToString([]byte(m)) + "),"
		list = append(list, b+"mqtt_is_valid")
		for _, field := range []string{"flags", "protocol_name", "protocol_version", "client_identifier", "will_topic", "will_payload", "username", "password", "keepalive", "17", "33", "1"} {
			list = append(list, b+"mqtt_field_value(connect,"+field+")")
		}
	}
	for _, m := range []string{mqtt(0x20, "\x00\x00"), mqtt(0x20, "\x01\x05"), mqtt(0x20, "\x02\x05"), mqtt(0x20, "\x00"), mqtt(0x20, "\x00\x00\x00"), mqtt(0x20, "\x00\x00\x03\x21\x00\x14"), mqtt(0x20, "\x00\x00\x03\x21\x00")} {
		b := "bin(" + hex.EncodeToString([]byte(m)) + "),"
		list = append(list, b+"mqtt_is_valid", b+"mqtt_field_value(2,flags)", b+"mqtt_field_value(CONNACK,reason_code)", b+"mqtt_field_value(connack,protocol_version)", b+"mqtt_field_value(connack,33)")
	}
	return list
}

// TestProtocolsAgreeWithHAProxy: converters that read messages of FIX and MQTT.
func TestProtocolsAgreeWithHAProxy(t *testing.T) {
	port := freePort(t)
	samples := protocolSamples()
	rules := ""
	for i, s := range samples {
		rules += fmt.Sprintf(" http-request set-var(txn.v%d) %s\n", i, s)
	}
	lines := ""
	for i := range samples {
		lines += fmt.Sprintf("<%%[var(txn.v%d)]>\n", i)
	}
	file := filepath.Join(t.TempDir(), "lf")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy(t, oracleHead+fmt.Sprintf("frontend f\n bind 127.0.0.1:%d\n%s http-request return status 200 content-type text/plain lf-file %s\n", port, rules, file), port)
	answer, from := ask(t, port, oracleRequest)
	_, body, ok := strings.Cut(answer, "\r\n\r\n")
	if !ok {
		t.Fatalf("answer: %q", answer)
	}
	x := oracleCtx(t, from, port)
	want := strings.Split(body, "\n")
	for i, s := range samples {
		f, err := logformat.ParseAt("<%["+s+"]>", sample.InRequest, nil)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if got := string(f.Append(nil, x)); got != want[i] {
			t.Errorf("%s: %q, HAProxy %q", s, got, want[i])
		}
	}
}
