package sample

// Proxied is what the PROXY header of a client's connection said besides the
// addresses. Immutable.
type Proxied struct {
	Authority, UniqueID string
}

// Preface is what a client's connection begins with before its own bytes.
type Preface uint8

// Prefaces.
const (
	NoPreface Preface = iota
	ProxyHeader
	NetScalerCIP
)

// fetchesProxied look at the PROXY header of the client's connection.
var fetchesProxied = []fetchRow{
	{name: "fc_pp_authority", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.Proxied == nil {
			return Value{}, false
		}
		return named(x, x.Rec.Proxied.Authority)
	}},
	{name: "fc_pp_unique_id", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) {
		if x.Rec.Proxied == nil {
			return Value{}, false
		}
		return named(x, x.Rec.Proxied.UniqueID)
	}},
	{name: "fc_rcvd_proxy", kind: Bool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.Proxied != nil), true }},
}
