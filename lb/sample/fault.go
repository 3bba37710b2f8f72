package sample

import "slices"

// Fault is why a connection was not made, or carried nothing.
type Fault struct {
	What string // in HAProxy's words, of faultWords

	// Of a handshake: OpenSSL's number and text of what went wrong; 0 and "":
	// nothing did, as far as it went. And its numbers of what is wrong with the
	// peer's certificate, or with one above it.
	TLS              int64
	TLSText          string
	Crt, CA, CADepth int
}

// faultWords are HAProxy's, by their numbers (fc_err).
var faultWords = []string{
	0:  "Success",
	1:  "Reached configured maxconn value",
	6:  "General socket error",
	7:  "Source port range exhausted",
	8:  "Can't bind to source address",
	9:  "Out of local source ports on the system",
	10: "Local source address already in use",
	11: "Connection closed while waiting for PROXY protocol header",
	12: "Connection error while waiting for PROXY protocol header",
	13: "Timeout while waiting for PROXY protocol header",
	14: "Truncated PROXY protocol header received",
	15: "Received something which does not look like a PROXY protocol header",
	16: "Received an invalid PROXY protocol header",
	17: "Received an unhandled protocol in the PROXY protocol header",
	18: "Connection closed while waiting for NetScaler Client IP header",
	19: "Connection error while waiting for NetScaler Client IP header",
	20: "Timeout while waiting for a NetScaler Client IP header",
	21: "Truncated NetScaler Client IP header received",
	22: "Received an invalid NetScaler Client IP magic number",
	23: "Received an unhandled protocol in the NetScaler Client IP header",
	24: "Connection closed during SSL handshake",
	25: "Connection error during SSL handshake",
	26: "Timeout during SSL handshake",
	30: "SSL client CA chain cannot be verified",
	31: "SSL client certificate not trusted",
	32: "Server presented an SSL certificate different from the configured one",
	33: "Server presented an SSL certificate different from the expected one",
	34: "SSL handshake failure",
}

// number is what fc_err and bc_err give.
func (f *Fault) number() int64 {
	if f == nil {
		return 0
	}
	return int64(max(slices.Index(faultWords, f.What), 0))
}

// words is what fc_err_str and bc_err_str give.
func (f *Fault) words() string {
	if f == nil {
		return faultWords[0]
	}
	return f.What
}
