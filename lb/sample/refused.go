package sample

import (
	"fmt"
	"strings"
)

// Refused is the error for a word that HAProxy has and lb has not, with the way
// out where there is one.
func Refused(what, why string) error {
	if why == "" {
		return fmt.Errorf("%s is known to HAProxy, but not supported by lb yet", what)
	}
	return fmt.Errorf("%s is known to HAProxy, but not supported by lb yet: %s", what, why)
}

// Ways out that several words share.
const (
	passedOn  = "TLS that is passed on is not looked into; write 'ssl crt <file>' on the bind line, and use ssl_fc_sni"
	secrets   = "keys never leave the process; HAProxy shows them with tune.ssl.keylog only"
	effort    = "nobody measures what one request takes of the CPU; the timers (%TR, %Tr, %Ta) show where its time goes, and top the whole process"
	internals = "it shows how HAProxy stores a message; req.hdr, res.hdr, method, path and status show the message"
	noFastCGI = "only HTTP servers can be used"

	otherProtocol = "distcc's messages are not parsed; route its connections by src or dst_port"

	names     = "names stay and numbers change: use fe_name, be_name or srv_name"
	InCapture = "use 'capture request header' or 'set-var(txn.NAME)' and %[var(txn.NAME)] in the log format"
)

// noScript is the error for a word that a Lua script defines, nil for others.
func noScript(what, name string) error {
	if !strings.HasPrefix(name, "lua.") {
		return nil
	}
	return Refused(fmt.Sprintf("%s '%s'", what, name), "scripts are not run; converters (regsub, map, field, word and others) after another fetch can often do what the script does")
}

// fetchRefused are fetches that HAProxy has and lb has not, with the way out.
var fetchRefused = map[string]string{
	"cpu_calls": effort, "cpu_ns_avg": effort, "cpu_ns_tot": effort, "lat_ns_avg": effort, "lat_ns_tot": effort,
	"distcc_body": otherProtocol, "distcc_param": otherProtocol, "fcgi.docroot": noFastCGI, "fcgi.index": noFastCGI,
	"internal.htx.data": internals, "internal.htx.free": internals, "internal.htx.free_data": internals, "internal.htx.has_eom": internals, "internal.htx.nbblks": internals,
	"internal.htx.size": internals, "internal.htx.used": internals, "internal.htx_blk.data": internals, "internal.htx_blk.hdrname": internals, "internal.htx_blk.hdrval": internals,
	"internal.htx_blk.size": internals, "internal.htx_blk.start_line": internals, "internal.htx_blk.type": internals, "internal.strm.is_htx": internals,

	"ssl_fc_session_key": secrets, "ssl_bc_session_key": secrets,
	"ssl_fc_client_early_traffic_secret": secrets, "ssl_fc_client_handshake_traffic_secret": secrets, "ssl_fc_client_traffic_secret_0": secrets,
	"ssl_fc_exporter_secret": secrets, "ssl_fc_early_exporter_secret": secrets, "ssl_fc_server_handshake_traffic_secret": secrets, "ssl_fc_server_traffic_secret_0": secrets,
}

// convMeant are names that are often guessed, and the right ones.
var convMeant = map[string]string{"len": "'length'", "sha": "'sha1' or 'sha2'", "strcat": "'concat'"}

// convRefused are converters that HAProxy has and lb has not, with the way out.
var convRefused = map[string]string{
	"rfc7239_is_valid": "",
	"x509_v_err_str":   "the number is OpenSSL's; a map file (map_int) can give it a name",
}
