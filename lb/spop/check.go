package spop

import (
	"encoding/binary"
	"strings"
)

// AppendCheck appends the HELLO of a health check: the agent answers it with its
// own, and the connection ends.
func AppendCheck(dst []byte) []byte {
	at := len(dst)
	dst = begin(dst, hello, 0, 0)
	dst = AppendArg(dst, "supported-versions", Value{Kind: String, Bytes: []byte("2.0")})
	dst = AppendArg(dst, "max-frame-size", Value{Kind: Uint32, Int: defaultFrame})
	dst = AppendArg(dst, "capabilities", Value{Kind: String})
	dst = AppendArg(dst, "healthcheck", Value{Kind: Bool, Int: 1})
	end(dst[at:])
	return dst
}

// JudgeCheck judges what came in answer to AppendCheck: it is not all there, or
// wrong for a reason, in HAProxy's words.
func JudgeCheck(data []byte) (whole bool, wrong string) {
	if len(data) < 4 {
		return false, ""
	}
	size := binary.BigEndian.Uint32(data)
	if uint64(len(data)-4) < uint64(size) {
		return false, ""
	}
	f, err := parseFrame(data[4:][:size])
	if err != nil || f.kind != agentHello && f.kind != agentDisconnect || f.stream != 0 || f.id != 0 {
		return true, reasons[statusInvalid]
	}
	if f.flags&flagFin == 0 {
		return true, "fragmentation not supported"
	}
	list, err := parseList(f.payload)
	switch {
	case err != nil:
		return true, reasons[statusInvalid]
	case f.kind == agentDisconnect:
		code := list["status-code"].Int
		if code < 0 || int(code) >= len(reasons) || reasons[code] == "" {
			code = statusUnknown
		}
		return true, reasons[code]
	}
	if status := judgeHello(list, defaultFrame); status != statusNone {
		return true, reasons[status]
	}
	return true, ""
}

// judgeHello gives the status of what is wrong with an agent's HELLO; 0:
// nothing.
//
// Only version 2.0 is spoken, as by HAProxy.
func judgeHello(list map[string]Value, most int) int {
	version, size := list["version"], list["max-frame-size"]
	switch {
	case version.Kind == 0:
		return statusNoVersion
	case version.Kind != String:
		return statusInvalid
	case strings.TrimSpace(string(version.Bytes)) != "2.0":
		return statusBadVersion
	case size.Kind == 0:
		return statusNoSize
	case size.Kind != Uint32 && size.Kind != Int32 && size.Kind != Uint64 && size.Kind != Int64:
		return statusInvalid
	case size.Int < 256 || size.Int > int64(most):
		return statusBadSize
	}
	return statusNone
}
