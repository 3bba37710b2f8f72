package sample

import (
	"encoding/json"
	"net/netip"
)

// carriedVar is a variable on the way to another process, which may be of
// another version: its kind is given by name.
type carriedVar struct {
	Name string     `json:"name"`
	Kind string     `json:"kind"`
	N    int64      `json:"n,omitempty"`
	Addr netip.Addr `json:"addr,omitzero"`
	B    []byte     `json:"b,omitempty"`
}

// Size is about how many bytes the variables take when they are encoded.
func (vs *Vars) Size() (n int) {
	for i := range vs.list {
		n += 80 + len(vs.list[i].name) + len(vs.list[i].b)*4/3
	}
	return n
}

// MarshalJSON implements json.Marshaler.
func (vs Vars) MarshalJSON() ([]byte, error) {
	list := []carriedVar{}
	for _, v := range vs.list {
		if v.unset {
			continue
		}
		list = append(list, carriedVar{Name: v.name, Kind: v.kind.String(), N: v.n, Addr: v.addr, B: v.b})
	}
	return json.Marshal(list)
}

// UnmarshalJSON implements json.Unmarshaler. What another version calls a kind
// and this one does not know is left out; so is what a version before this one
// sent, which is no list.
func (vs *Vars) UnmarshalJSON(text []byte) error {
	vs.list = nil
	var list []carriedVar
	if len(text) > 0 && text[0] != '[' {
		return nil
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, c := range list {
		for k := Bool; k <= Bin; k++ {
			if k.String() == c.Kind {
				vs.set(c.Name, Value{kind: k, n: c.N, addr: c.Addr, b: c.B})
			}
		}
	}
	return nil
}
