package sample

// fetchesTimers are the timers and states of a transaction, under the names that
// HAProxy gave them after 2.6.
var fetchesTimers = []fetchRow{
	{name: "lb_fault", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return named(x, x.Rec.Fault) }}, // lb's own
	timerFetch("bc.timer.connect", func(r *Record) int32 { return r.Tc }),
	timerFetch("fc.timer.handshake", func(r *Record) int32 { return r.Th }),
	timerFetch("fc.timer.total", func(r *Record) int32 { return r.Tt }),
	timerFetch("req.timer.hdr", func(r *Record) int32 { return r.TR }),
	timerFetch("req.timer.idle", func(r *Record) int32 { return r.Ti }),
	timerFetch("req.timer.queue", func(r *Record) int32 { return r.Tw }),
	timerFetch("req.timer.tq", func(r *Record) int32 { return r.Tq }),
	timerFetch("res.timer.data", func(r *Record) int32 { return r.Td }),
	timerFetch("res.timer.hdr", func(r *Record) int32 { return r.Tr }),
	timerFetch("txn.timer.total", func(r *Record) int32 { return r.Ta }),
	{name: "txn.conn_retries", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.Retries)), true }},
	{name: "txn.redispatched", kind: Bool, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return BoolValue(x.Rec.Redispatched), true }},
	{name: "txn.sess_term_state", kind: Str, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { // of two characters, as %ts: rules say "sQ"
		off := len(x.scratch)
		x.scratch = append(x.scratch, x.Rec.Term[:2]...)
		return StrValue(x.scratch[off:]), true
	}},
	{name: "txn.status", kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(x.Rec.Status)), true }},
}

func timerFetch(name string, get func(*Record) int32) fetchRow {
	return fetchRow{name: name, kind: Int, where: Anywhere, get: func(x *Ctx, _ *args) (Value, bool) { return IntValue(int64(get(x.Rec))), true }}
}
