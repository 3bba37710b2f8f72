package stats

import (
	"reflect"
	"strconv"
	"testing"
)

func TestRate(t *testing.T) {
	var r Rate
	is := func(now int64, want uint32) {
		t.Helper()
		if got := r.Value(now); got != want {
			t.Errorf("rate at %d ms: %d, want %d", now, got, want)
		}
	}
	is(0, 0)
	for ms := int64(0); ms < 1000; ms += 10 {
		r.Add(ms, 1)
	}
	is(999, 100)
	is(1000, 100) // the second before counts whole at its end
	is(1500, 50)  // and fades away
	r.Add(1500, 7)
	is(1500, 57)
	is(1999, 7)
	is(2000, 7)
	is(3000, 0)
	is(1<<40, 0)
	if r.Max != 100 {
		t.Errorf("max %d, want 100", r.Max)
	}
	r = Rate{}
	r.Add(5000, 1)
	is(5999, 1) // a single event shows for its second
	if n := testing.AllocsPerRun(100, func() { r.Add(6000, 1); r.Value(6500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The rates of two loops add up to the rate of a loop that saw everything.
func TestRateMerge(t *testing.T) {
	var a, b, one Rate
	for ms := int64(0); ms < 2500; ms += 5 {
		one.Add(ms, 1)
		if ms%3 == 0 {
			a.Add(ms, 1)
		} else {
			b.Add(ms, 1)
		}
	}
	a.Merge(b, 2700)
	for _, now := range []int64{2700, 2999, 3000, 3400} {
		if got, want := a.Value(now), one.Value(now); got != want {
			t.Errorf("at %d ms %d, want %d", now, got, want)
		}
	}
	if a.Max < one.Max {
		t.Errorf("max %d, want at least %d", a.Max, one.Max)
	}
}

func TestAverage(t *testing.T) {
	var a Average
	if a.Value() != 0 {
		t.Error("an average of nothing")
	}
	for _, v := range []uint32{10, 20, 30} {
		a.Add(v)
	}
	if a.Value() != 20 || a.Max != 30 {
		t.Errorf("average %d, max %d", a.Value(), a.Max)
	}
	// It forgets: after many of another value that value is shown.
	for range 20 * window {
		a.Add(100)
	}
	if got := a.Value(); got < 99 || got > 100 {
		t.Errorf("average %d after many 100s", got)
	}
	for range 20 * window {
		a.Add(0)
	}
	if got := a.Value(); got > 1 {
		t.Errorf("average %d after many zeroes", got)
	}
	var b, c Average
	b.Add(10)
	c.Add(40)
	c.Add(40)
	b.Merge(c)
	if b.Value() != 30 || b.Max != 40 {
		t.Errorf("merged average %d, max %d", b.Value(), b.Max)
	}
}

// numbers are the numbers in a struct, however deep, with their names.
func numbers(v reflect.Value, name string, each func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			numbers(v.Field(i), name+"."+v.Type().Field(i).Name, each)
		}
	case reflect.Array:
		for i := range v.Len() {
			numbers(v.Index(i), name+"."+strconv.Itoa(i), each)
		}
	default:
		each(name, v)
	}
}

// No counter is forgotten when counters are added.
func TestCountersMerge(t *testing.T) {
	var c Counters
	n := uint64(1)
	numbers(reflect.ValueOf(&c).Elem(), "", func(_ string, f reflect.Value) {
		f.SetUint(n)
		n++
	})
	sum := c
	sum.Merge(&c)
	n = 1
	numbers(reflect.ValueOf(sum), "", func(name string, f reflect.Value) {
		if f.Uint() != 2*n {
			t.Errorf("%s is not added", name)
		}
		n++
	})
}

func TestCountStatus(t *testing.T) {
	var c Counters
	for _, status := range []int{100, 101, 200, 204, 302, 404, 500, 503, 600, 999, 0, -1, 99} {
		c.CountStatus(status)
	}
	if c.Resp != [6]uint64{2, 2, 1, 1, 2, 5} {
		t.Errorf("%v", c.Resp)
	}
}
