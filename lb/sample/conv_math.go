package sample

import "math"

// arith makes a converter of two integers; the second one may be a variable,
// and an unset variable fails the sample.
func arith(f func(a, b int64) int64) func(*Ctx, *args, Value) (Value, bool) {
	return func(x *Ctx, a *args, v Value) (Value, bool) {
		n, ok := v.Integer()
		if !ok {
			return Value{}, false
		}
		m, ok := a.ref[0].value(x)
		if !ok {
			return Value{}, false
		}
		return IntValue(f(n, m)), true
	}
}

func unary(f func(int64) int64) func(*Ctx, *args, Value) (Value, bool) {
	return func(_ *Ctx, _ *args, v Value) (Value, bool) {
		n, ok := v.Integer()
		return IntValue(f(n)), ok
	}
}

func test(f func(int64) bool) func(*Ctx, *args, Value) (Value, bool) {
	return func(_ *Ctx, _ *args, v Value) (Value, bool) {
		n, ok := v.Integer()
		return BoolValue(f(n)), ok
	}
}

// saturate adds and stays within 64 bits, as HAProxy does.
func saturate(a, b int64) int64 {
	s := a + b
	switch {
	case a > 0 && b > 0 && s < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

func multiply(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	p := a * b
	if p/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64) {
		return p
	}
	if (a < 0) != (b < 0) {
		return math.MinInt64
	}
	return math.MaxInt64
}

// divide by zero is the largest integer, as HAProxy has it.
func divide(a, b int64) int64 {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return math.MaxInt64
	}
	return a / b
}

func modulo(a, b int64) int64 {
	if b == 0 || b == -1 {
		return 0
	}
	return a % b
}
