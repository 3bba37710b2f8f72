package rule

import (
	"bytes"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
)

// HashKey is what places a request for the hashing balance algorithms: balance
// hdr, url_param, rdp-cookie and hash.
type HashKey struct {
	key   *sample.Expr // nil: param is the key
	param []byte       // "name=" of a parameter of the query
	post  *sample.Expr // of the body of a POST, when there is no key; nil none
}

// ParseHashKey compiles a sample expression.
func ParseHashKey(text string, acls *acl.ACLs) (*HashKey, error) {
	p := newParser(Request, []string{text}, acls)
	e, err := p.expression(p.next())
	if err != nil {
		return nil, err
	}
	return &HashKey{key: e}, nil
}

// ParseHashParam compiles the name of a parameter, which a POST may have in its
// body. A query's parameters are what stands between & alone, and have a value:
// HAProxy reads them otherwise here than its url_param does.
func ParseHashParam(name string, acls *acl.ACLs) (*HashKey, error) {
	k := &HashKey{param: []byte(name + "=")}
	body, err := ParseHashKey("req.body_param("+name+")", acls)
	if err != nil {
		return nil, err
	}
	k.post = body.key
	return k, nil
}

// InBody reports whether the key may be in the body of a request, which must be
// there then.
func (k *HashKey) InBody(x *sample.Ctx) bool {
	return k.post != nil && x.Req != nil && string(x.Req.Method()) == "POST"
}

// Key is the request's key, nil when it has none. It is valid until the next
// evaluation.
func (k *HashKey) Key(x *sample.Ctx) []byte {
	x.Begin()
	if k.key == nil {
		if value := k.inQuery(x); value != nil {
			return value
		}
	} else if v, ok := k.key.Eval(x); ok {
		return v.Text(x)
	}
	if k.InBody(x) {
		if v, ok := k.post.Eval(x); ok {
			text := v.Text(x)
			if end := bytes.IndexAny(text, " \t\r\n"); end >= 0 { // a form's last line
				text = text[:end]
			}
			return text
		}
	}
	return nil
}

// inQuery is the value of the parameter in the request's query; nil: it has none.
func (k *HashKey) inQuery(x *sample.Ctx) []byte {
	if x.Req == nil {
		return nil
	}
	_, query, _ := bytes.Cut(x.Req.URI(), []byte("?"))
	for len(query) > 0 {
		one, rest, _ := bytes.Cut(query, []byte("&"))
		if value, is := bytes.CutPrefix(one, k.param); is {
			return value
		}
		query = rest
	}
	return nil
}
