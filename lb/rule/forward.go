package rule

import (
	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// What lb/sample, lb/acl and lb/logformat have now, under the names that it had
// when all of it was this package. Do not use them in new code: they go soon.
type (
	Ctx      = sample.Ctx
	Record   = sample.Record
	Reply    = sample.Reply
	Vars     = sample.Vars
	Tracks   = sample.Tracks
	Needs    = sample.Needs
	Uses     = sample.Uses
	Ref      = sample.Ref
	TableRef = sample.TableRef
	UserRef  = sample.UserRef
	FileRef  = sample.FileRef
	Gauge    = sample.Gauge
	ACLs     = acl.ACLs
	Cond     = acl.Cond
	Format   = logformat.Format
)

// See above.
const (
	LevelSilent    = sample.LevelSilent
	NeedsFrontAddr = sample.NeedsFrontAddr
	NeedsBackAddr  = sample.NeedsBackAddr
	NeedsLogCount  = sample.NeedsLogCount
	HTTPLog        = logformat.HTTPLog
	HTTPSLog       = logformat.HTTPSLog
	TCPLog         = logformat.TCPLog
	CLFLog         = logformat.CLFLog
)

// See above.
var (
	NewACLs     = acl.NewACLs
	ParseCond   = acl.ParseCond
	ParseFormat = logformat.Parse
	ParseText   = logformat.ParseText
	Fetches     = sample.Fetches
	Converters  = sample.Converters
)
