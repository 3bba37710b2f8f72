package sample

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
)

// TestVarsTravel holds that variables of every kind come out of JSON as they went in, and that what another version says is no error.
func TestVarsTravel(t *testing.T) {
	var vs, back Vars
	for name, v := range map[string]Value{
		"txn.bool": {kind: Bool, n: 1},
		"txn.int":  {kind: Int, n: -5},
		"txn.addr": {kind: Addr, addr: netip.MustParseAddr("2001:db8::1")},
		"txn.str":  {kind: Str, b: []byte("a\xffb")},
		"txn.bin":  {kind: Bin, b: []byte{0, 1, 2}},
	} {
		vs.set(name, v)
	}
	text, err := json.Marshal(Record{Vars: vs})
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 3000 || vs.Size() > 2*len(text) {
		t.Errorf("%d bytes, %d expected", len(text), vs.Size())
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Vars, vs) {
		t.Errorf("%+v came out of %+v", r.Vars, vs)
	}
	for _, other := range []string{`{}`, `[{"name":"txn.x","kind":"of tomorrow"}]`, `[]`, `null`} {
		if err := json.Unmarshal([]byte(other), &back); err != nil || len(back.list) != 0 {
			t.Errorf("%s: %v %v", other, back, err)
		}
	}
}
