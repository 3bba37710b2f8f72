package sample

import "strings"

// scriptWays are what can take the place of scripts that many configurations
// load, by a part of the names of their functions.
var scriptWays = []struct{ names, way string }{
	{"cors", "write http-response set-header Access-Control-Allow-Origin and its kin with ACLs on the Origin, and http-request return status 204 for METH_OPTIONS"},
	{"acme http01 http-01 letsencrypt lego certbot", "let the ACME client answer by itself (certbot --standalone --http-01-port, lego --http.port), and send /.well-known/acme-challenge/ to it with use_backend"},
	{"auth-request auth_request auth-intercept auth_intercept forward-auth forwardauth authelia authentik oauth", "no request is made for another one: send requests through a proxy that does it (oauth2-proxy, an outpost of authentik), or ask an agent with filter spoe"},
	{"jwt", "http_auth_bearer,jwt_verify(<alg>,<key>) checks a token, jwt_payload_query and jwt_header_query read it"},
	{"crowdsec", "use CrowdSec's agent for SPOE (cs-haproxy-spoa-bouncer) with filter spoe"},
	{"coraza modsecurity waf", "use Coraza's agent for SPOE (coraza-spoa) with filter spoe"},
	{"geoip geo_ip geo-ip maxmind country asn", "src,map_ip(<file>) looks an address up in a file of networks, which a timer can write from the database"},
	{"session sessiondb", "stick on with a stick table keeps a client with its server, and peers share it; set-map and a map file keep other facts"},
	{"json", "json_query reads a value of req.body (with option http-buffer-request); http-request return with lf-string writes JSON"},
	{"captcha bot-check bot_check challenge pow", "send whoever has no valid cookie to an application that asks and sets it (use_backend unless a jwt_verify of the cookie), or ask an agent with filter spoe"},
	{"md5 sha hmac hash crc", "digest, hmac, sha1, sha2, crc32 and xxh64 are converters"},
	{"uuid random rand", "uuid and rand are fetches"},
	{"base64 urldecode url_decode urlencode unescape", "b64dec, base64, ub64dec, ub64enc, url_dec and url_enc are converters"},
	{"redirect", "http-request redirect with location and %[...] does it, with a map file for many"},
	{"hello health ping status getpid getconfig getvhostmap getappmap signalmlb", "http-request return status 200 with string or lf-string answers by itself; show info and show servers state on the stats socket have the rest"},
	{"cookie", "replace-header, replace-value and req.cook or res.cook read and change cookies"},
	{"rate limit throttle ddos reputation", "a stick table with track-sc and sc_http_req_rate counts clients, deny, tarpit or silent-drop turn them away"},
}

// ScriptWay tells what can take the place of a function of a script, by its
// name (with "lua."); general if nothing better is known.
func ScriptWay(name, general string) string {
	name = strings.ToLower(strings.TrimPrefix(name, "lua."))
	for _, w := range scriptWays {
		for part := range strings.FieldsSeq(w.names) {
			if strings.Contains(name, part) {
				return w.way
			}
		}
	}
	return general
}
