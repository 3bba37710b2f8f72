package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// opensslReason is why a handshake fails, as OpenSSL numbers and names it.
type opensslReason struct {
	number int64
	text   string
}

// opensslLibrary is its number of what handshakes report.
const opensslLibrary = 20 << 23

// opensslReasons are OpenSSL's for errors of crypto/tls, which has most of them as
// texts alone; the first one that is in an error's text is meant.
var opensslReasons = []struct {
	text string
	opensslReason
}{
	{"client didn't provide a certificate", opensslReason{199, "peer did not return a certificate"}},
	{"client offered only unsupported versions", opensslReason{258, "unsupported protocol"}},
	{"unsupported SSLv2 handshake", opensslReason{258, "unsupported protocol"}},
	{"no cipher suite supported by both", opensslReason{193, "no shared cipher"}},
	{"no key exchanges supported by both", opensslReason{101, "no suitable key share"}},
	{"no supported signature algorithm", opensslReason{118, "no suitable signature algorithm"}},
	{"peer doesn't support any of the certificate's signature algorithms", opensslReason{118, "no suitable signature algorithm"}},
	{"client requested unsupported application protocols", opensslReason{235, "no application protocol"}},
	{"no application protocol", opensslReason{235, "no application protocol"}},
	{"unrecognized name", opensslReason{234, "callback failed"}},
	{"no certificates configured", opensslReason{234, "callback failed"}},
	{"invalid signature by the", opensslReason{123, "bad signature"}},
	{"unexpected message", opensslReason{244, "unexpected message"}},
	{"exceeds maximum of", opensslReason{244, "unexpected message"}}, // what is no handshake, read as one
}

// opensslAlerts are OpenSSL's names of alerts that a peer sent.
var opensslAlerts = []struct {
	text string // crypto/tls's
	opensslReason
}{
	{"unexpected message", opensslReason{1010, "sslv3 alert unexpected message"}},
	{"handshake failure", opensslReason{1040, "sslv3 alert handshake failure"}},
	{"bad certificate", opensslReason{1042, "sslv3 alert bad certificate"}},
	{"unsupported certificate", opensslReason{1043, "sslv3 alert unsupported certificate"}},
	{"revoked certificate", opensslReason{1044, "sslv3 alert certificate revoked"}},
	{"expired certificate", opensslReason{1045, "sslv3 alert certificate expired"}},
	{"unknown certificate authority", opensslReason{1048, "tlsv1 alert unknown ca"}},
	{"unknown certificate", opensslReason{1046, "sslv3 alert certificate unknown"}},
	{"illegal parameter", opensslReason{1047, "sslv3 alert illegal parameter"}},
	{"access denied", opensslReason{1049, "tlsv1 alert access denied"}},
	{"error decoding message", opensslReason{1050, "tlsv1 alert decode error"}},
	{"error decrypting message", opensslReason{1051, "tlsv1 alert decrypt error"}},
	{"protocol version not supported", opensslReason{1070, "tlsv1 alert protocol version"}},
	{"insufficient security level", opensslReason{1071, "tlsv1 alert insufficient security"}},
	{"internal error", opensslReason{1080, "tlsv1 alert internal error"}},
	{"user canceled", opensslReason{1090, "tlsv1 alert user cancelled"}},
	{"unrecognized name", opensslReason{1112, "tlsv1 unrecognized name"}},
	{"certificate required", opensslReason{1116, "tlsv13 alert certificate required"}},
	{"no application protocol", opensslReason{1120, "tlsv1 alert no application protocol"}},
}

// OpenSSLError is OpenSSL's number and text for what a handshake failed with; 0 for
// what it has none for, such as a connection that was closed.
func OpenSSLError(err error) (code int64, text string) {
	r := opensslOf(err)
	if r.number == 0 {
		return 0, ""
	}
	code = opensslLibrary | r.number
	return code, fmt.Sprintf("error:%08X:SSL routines::%s", code, r.text)
}

func opensslOf(err error) opensslReason {
	var header tls.RecordHeaderError
	var other *mismatchError
	switch {
	case err == nil:
		return opensslReason{}
	case ProblemOf(err) != nil, errors.As(err, &other):
		return opensslReason{134, "certificate verify failed"}
	case errors.As(err, &header):
		switch string(header.RecordHeader[:4]) {
		case "GET ", "POST", "HEAD", "PUT ":
			return opensslReason{156, "http request"}
		case "CONN":
			return opensslReason{155, "https proxy request"}
		}
		if header.RecordHeader[1] == 3 {
			return opensslReason{244, "unexpected message"}
		}
		return opensslReason{267, "wrong version number"}
	}
	text := err.Error()
	if alert, remote := strings.CutPrefix(text, "remote error: tls: "); remote {
		for _, a := range opensslAlerts {
			if strings.HasPrefix(alert, a.text) {
				return a.opensslReason
			}
		}
		return opensslReason{}
	}
	for _, r := range opensslReasons {
		if strings.Contains(text, r.text) {
			return r.opensslReason
		}
	}
	return opensslReason{}
}
