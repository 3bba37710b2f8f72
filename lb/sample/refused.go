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
	return Refused(fmt.Sprintf("%s '%s'", what, name), "scripts are not run; "+ScriptWay(name, "converters (regsub, map, field, word and others) after another fetch can often do what the script does"))
}

// fetchRefused are fetches that HAProxy has and lb has not, with the way out.
var fetchRefused = spread(newerFetches, map[string]string{
	"distcc_body": otherProtocol, "distcc_param": otherProtocol, "fcgi.docroot": noFastCGI, "fcgi.index": noFastCGI,
	"internal.htx.data": internals, "internal.htx.free": internals, "internal.htx.free_data": internals, "internal.htx.has_eom": internals, "internal.htx.nbblks": internals,
	"internal.htx.size": internals, "internal.htx.used": internals, "internal.htx_blk.data": internals, "internal.htx_blk.hdrname": internals, "internal.htx_blk.hdrval": internals,
	"internal.htx_blk.size": internals, "internal.htx_blk.start_line": internals, "internal.htx_blk.type": internals,

	"ssl_fc_session_key": secrets, "ssl_bc_session_key": secrets,
	"ssl_fc_client_early_traffic_secret": secrets, "ssl_fc_client_handshake_traffic_secret": secrets, "ssl_fc_client_traffic_secret_0": secrets,
	"ssl_fc_exporter_secret": secrets, "ssl_fc_early_exporter_secret": secrets, "ssl_fc_server_handshake_traffic_secret": secrets, "ssl_fc_server_traffic_secret_0": secrets,
})

// Ways out for words of HAProxy 2.7 to 3.4.
const (
	noStreams = "streams of HTTP/2 are not counted for rules; fc_http_major and bc_http_major tell the protocol"
	noHolds   = "rules run to their end; %ts and %tsc tell what ended a request"
	noFlaws   = "they are not counted for rules; the limits of HTTP/2 connections end what goes beyond them"
	ofServers = "what the kernel knows is shown of clients' connections (fc_rtt); the timer %Tc shows how far a server is"
	agreedOn  = "it is not shown; ssl_fc_cipher, ssl_fc_protocol and ssl_fc_alpn show what was agreed on"
	asServer  = "read the token with jwt_payload_query after jwt_verify, or decrypt it in the server"
	devices   = "devices are not detected; a map file (map_reg, map_sub) on the User-Agent can tell the common ones"
)

// newerFetches and newerConverters are words of HAProxy 2.7 to 3.4.
var newerFetches = map[string]string{
	"fs.aborted bs.aborted fs.debug_str bs.debug_str last_entity waiting_entity term_events":       noHolds,
	"fc_nb_streams bc_nb_streams fc_settings_streams_limit bc_settings_streams_limit fs.id bs.id":  noStreams,
	"fc_glitches bc_glitches sc_glitch_cnt sc_glitch_rate src_glitch_cnt src_glitch_rate":          noFlaws,
	"sc0_glitch_cnt sc1_glitch_cnt sc2_glitch_cnt sc0_glitch_rate sc1_glitch_rate sc2_glitch_rate": noFlaws,
	"bc_rtt bc_rttvar bc_reused": ofServers,
	"ssl_fc_curve ssl_bc_curve ssl_fc_sigalgs_bin ssl_fc_supported_versions_bin ssl_fc_crtname": agreedOn,
	"req.ssl_cipherlist req.ssl_sigalgs req.ssl_supported_groups req.ssl_keyshare_groups":       "TLS that is passed on shows req.ssl_sni, req.ssl_alpn and req.ssl_ver; with ssl on the bind line ssl_fc_cipherlist_bin and its kin show more",
	"51d.all da-csv-fetch wurfl-get wurfl-get-all":                                              devices,
	"bytes_in bytes_out req.bytes_in req.bytes_out res.bytes_in res.bytes_out":                  "they are counted for log lines: write %U (from the client) and %B (to the client) in the log format",
	"sc_key sc0_key sc1_key sc2_key":                                                            "write what the track rule tracks (src, hdr(...)), or keep it with set-var(txn.NAME)",
	"tgroup":                                                                                    "threads have no groups; write int(0)",
	"quic_enabled":                                                                              "QUIC is not spoken; write always_false",
}

var newerConverters = map[string]string{
	"51d.single da-csv-conv": devices,
	"jwt_decrypt_alg jwt_decrypt_cert jwt_decrypt_jwk jwt_decrypt_secret": asServer,
	"jwt_verify_cert": "jwt_verify takes a certificate, too",
	"rfc7239_field rfc7239_is_valid rfc7239_n2nn rfc7239_n2np": "Forwarded is not taken apart; servers that write X-Forwarded-For as well can be read with hdr_ip",
	"table_glitch_cnt table_glitch_rate":                       noFlaws,
	"when":                                                     "write two rules, one with the condition and one without",
}

// spread adds to a table what several names of a group have in common.
func spread(groups, table map[string]string) map[string]string {
	for names, why := range groups {
		for name := range strings.FieldsSeq(names) {
			table[name] = why
		}
	}
	return table
}

// convMeant are names that are often guessed, and the right ones.
var convMeant = map[string]string{"len": "'length'", "sha": "'sha1' or 'sha2'", "strcat": "'concat'"}

// convRefused are converters that HAProxy has and lb has not, with the way out.
var convRefused = spread(newerConverters, map[string]string{
	"x509_v_err_str": "the number is OpenSSL's; a map file (map_int) can give it a name",
})
