package rule

import (
	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
)

// HashKey is what places a request for the hashing balance algorithms: balance
// hdr, url_param, rdp-cookie and hash.
type HashKey struct{ key *sample.Expr }

// ParseHashKey compiles a sample expression.
func ParseHashKey(text string, acls *acl.ACLs) (*HashKey, error) {
	p := newParser(Request, []string{text}, acls)
	e, err := p.expression(p.next())
	if err != nil {
		return nil, err
	}
	return &HashKey{e}, nil
}

// Key is the request's key, nil when it has none. It is valid until the next
// evaluation.
func (k *HashKey) Key(x *sample.Ctx) []byte {
	x.Begin()
	v, ok := k.key.Eval(x)
	if !ok {
		return nil
	}
	return v.Text(x)
}
