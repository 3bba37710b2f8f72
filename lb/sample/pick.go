package sample

// Pick stands for many exact comparisons of one expression: it says which of them
// holds first, by a look-up for each value that the expression has. Immutable after
// the last Add.
type Pick struct {
	expr          *Expr
	exact, folded map[string]int
}

// steady are the fetches of which it makes no difference how often they are asked.
var steady = map[string]bool{
	"hdr": true, "req.hdr": true, "req.fhdr": true, "path": true, "url": true, "base": true, "method": true,
	"url_param": true, "urlp": true, "cook": true, "req.cook": true, "cookie": true, "ssl_fc_sni": true, "req.ssl_sni": true, "req_ssl_sni": true,
}

// steadyConvs are such converters.
var steadyConvs = map[string]bool{"lower": true, "upper": true, "field": true, "word": true, "host_only": true, "port_only": true, "url_dec": true}

// NewPick begins one for an expression, whose first comparison m is; nil where it is
// none that a look-up could do.
func NewPick(e *Expr, m Matcher) *Pick {
	if _, ok := m.(*matchStr); !ok || !steady[e.fetch.name] {
		return nil
	}
	for i := range e.convs {
		if !steadyConvs[e.convs[i].row.name] {
			return nil
		}
	}
	return &Pick{expr: e, exact: map[string]int{}, folded: map[string]int{}}
}

// Add adds a comparison, the n-th; false where it is not one of this expression.
func (p *Pick) Add(e *Expr, m Matcher, n int) bool {
	str, ok := m.(*matchStr)
	if !ok || e.src != p.expr.src {
		return false
	}
	addFirst(p.exact, str.exact, n)
	addFirst(p.folded, str.folded, n)
	return true
}

func addFirst(to map[string]int, keys map[string]struct{}, n int) {
	for k := range keys {
		if have, ok := to[k]; !ok || n < have {
			to[k] = n
		}
	}
}

// First says which comparison holds first; false: none does. Like a condition it
// leaves x.Missing set when that cannot be said yet.
func (p *Pick) First(x *Ctx) (n int, ok bool) {
	x.Begin()
	x.Missing = false
	x.cur = cursor{all: true}
	for {
		x.cur.more = false
		if v, have := p.expr.eval(x); have {
			b := v.Text(x)
			if at, have := p.exact[string(b)]; have && (!ok || at < n) {
				n, ok = at, true
			}
			if len(p.folded) > 0 {
				if at, have := p.folded[string(lowered(x, b))]; have && (!ok || at < n) {
					n, ok = at, true
				}
			}
		}
		if !x.cur.more {
			break
		}
	}
	if ok {
		x.Missing = false
	}
	return n, ok
}
