package rule

import "fmt"

// refused is the error for a word that HAProxy has and lb has not, with the way
// out where there is one.
func refused(what, why string) error {
	if why == "" {
		return fmt.Errorf("%s is known to HAProxy, but not supported by lb yet", what)
	}
	return fmt.Errorf("%s is known to HAProxy, but not supported by lb yet: %s", what, why)
}

// Ways out that several words share.
const (
	gpcArrays    = "tables have gpc0, gpc1 and gpt0, not arrays of them"
	passedOn     = "TLS that is passed on is not looked into; write 'ssl crt <file>' on the bind line, and use ssl_fc_sni"
	clientCert   = "'verify required' and 'ca-file' on the bind line bound who may connect, but rules do not see certificates"
	bodies       = "bodies are passed on as they come; rules see heads"
	rawBytes     = "rules see addresses and request heads, not a connection's bytes, and never wait; remove the condition"
	rates        = "a stick table that all connections share (track-sc0 int(1)) counts rates"
	names        = "names stay and numbers change: use fe_name, be_name or srv_name"
	nothingKept  = "answers are not cached; remove the rule"
	noFilters    = "there are no filters; remove the rule"
	addressFixed = "the server line says where connections go; use several servers and use-server rules"
	inOrder      = "requests wait in the order in which they came; remove the rule"
	resolvedOnce = "names are resolved once, at start; reload to resolve again"
	marks        = "mark packets with nftables, by address and port"
	inCapture    = "use 'capture request header' or 'set-var(txn.NAME)' and %[var(txn.NAME)] in the log format"
	scripts      = "scripts are not run"
)

// fetchRefused are fetches that HAProxy has and lb has not, with the way out.
var fetchRefused = map[string]string{
	"be_sess_rate": rates, "fe_sess_rate": rates, "srv_sess_rate": rates, "fe_req_rate": rates, "be_req_rate": rates,
	"be_conn_free": "compare be_conn with a number", "srv_conn_free": "compare srv_conn with a number",
	"be_id": names, "fe_id": names, "so_id": names, "srv_id": names,
	"req.body": bodies, "req.body_len": bodies, "req.body_size": bodies, "req.body_param": bodies, "res.body": bodies, "res.body_len": bodies,
	"req.payload": rawBytes, "req.payload_lv": rawBytes, "payload": rawBytes, "payload_lv": rawBytes, "req.len": rawBytes, "res.len": rawBytes, "wait_end": rawBytes,
	"req.ssl_sni": passedOn, "req_ssl_sni": passedOn, "req.ssl_hello_type": passedOn, "req_ssl_hello_type": passedOn, "req.ssl_ver": passedOn, "req_ssl_ver": passedOn,
	"rdp_cookie": "use 'stick on src'", "rdp_cookie_cnt": "use 'stick on src'",
	"ssl_c_s_dn": clientCert, "ssl_c_i_dn": clientCert, "ssl_c_verify": clientCert, "ssl_c_used": clientCert, "ssl_c_serial": clientCert, "ssl_c_sha1": clientCert,
	"ssl_fc_has_crt": clientCert, "ssl_c_notafter": clientCert, "ssl_c_notbefore": clientCert, "ssl_c_der": clientCert,
	"ssl_fc_npn": "use ssl_fc_alpn", "ssl_fc_session_id": "", "ssl_fc_unique_id": "", "ssl_fc_alg_keysize": "use ssl_fc_cipher", "ssl_fc_use_keysize": "use ssl_fc_cipher", "ssl_f_sha1": "",
	"ssl_bc":     "connections to servers are plain",
	"sc_get_gpc": gpcArrays, "sc_inc_gpc": gpcArrays, "sc_clr_gpc": gpcArrays, "sc_gpc_rate": gpcArrays, "sc_get_gpt": gpcArrays,
	"src_get_gpc": gpcArrays, "src_inc_gpc": gpcArrays, "src_clr_gpc": gpcArrays, "src_gpc_rate": gpcArrays, "src_get_gpt": gpcArrays,
	"src_updt_conn_cnt": "use a track-sc rule, which counts connections in conn_cnt",
}

// convMeant are names that are often guessed, and the right ones.
var convMeant = map[string]string{"len": "'length'", "sha": "'sha1' or 'sha2'", "strcat": "'concat'"}

// convRefused are converters that HAProxy has and lb has not, with the way out.
var convRefused = map[string]string{
	"table_gpc": gpcArrays, "table_gpc_rate": gpcArrays, "table_gpt": gpcArrays,
	"json": "", "json_query": bodies, "jwt_verify": "", "jwt_header_query": "", "jwt_payload_query": "", "language": "", "djb2": "use crc32", "sdbm": "use crc32", "wt6": "use crc32",
	"xxh32": "use crc32", "xxh64": "use crc32", "xxh3": "use crc32", "hmac": "", "digest": "use sha1 or sha2", "secure_memcmp": "", "aes_gcm_dec": "", "protobuf": bodies, "fix_tag_value": bodies,
	"htonl": "", "crc32c": "use crc32", "capture-req": inCapture, "capture-res": inCapture,
	"set-var": "use 'http-request set-var(txn.NAME)'", "unset-var": "use 'http-request unset-var(txn.NAME)'", "debug": "put the value into the log format",
	"nbsrv": "name the backend: nbsrv(app)", "srv_queue": "", "url32": "", "rfc7239_is_valid": "", "param": "", "add_item": "use concat", "cut_crlf": "",
	"be2dec": "", "be2hex": "use hex", "x509_v_err_str": clientCert,
}

// actionRefused are actions that HAProxy has and lb has not, with the way out.
var actionRefused = map[string]string{
	"tarpit": "use 'deny'; clients are not held", "reject": "use 'deny'", "silent-drop": "use 'deny', or 'reject' in a tcp-request rule", "capture": inCapture,
	"add-acl": "'add acl' on the stats socket does it", "del-acl": "'del acl' on the stats socket does it",
	"set-map": "'set map' on the stats socket does it", "del-map": "'del map' on the stats socket does it",
	"cache-use": nothingKept, "cache-store": nothingKept, "sc-inc-gpc": gpcArrays, "sc-set-gpt": gpcArrays, "sc-add-gpc": gpcArrays,
	"expect-proxy": "clients must come without a PROXY header", "set-mark": marks, "set-tos": marks, "do-resolve": resolvedOnce,
	"disable-l7-retry": "a request that a server has seen is not sent twice; remove the rule", "early-hint": "remove the rule", "normalize-uri": "write replace-path rules",
	"send-spoe-group": noFilters, "set-bandwidth-limit": noFilters, "set-dst": addressFixed, "set-dst-port": addressFixed,
	"set-src": "use hdr_ip(<header>) where src would stand", "set-src-port": "use hdr_val(<header>) where src_port would stand",
	"set-nice": "all connections of a loop have the same priority; remove the rule", "set-priority-class": inOrder, "set-priority-offset": inOrder,
	"set-timeout": "write 'timeout server' and 'timeout tunnel' in a backend of its own", "strict-mode": "remove the rule",
	"wait-for-body": bodies, "wait-for-handshake": "early data is not taken; remove the rule", "lua": scripts,
}
