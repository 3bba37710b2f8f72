// Package haproxyline finds the fields in what HAProxy and lb log of a connection or a request.
//
//  1. Line.Parse looks at the first word of a message's text, and gives up at once when no HAProxy has written that (line.go),
//  2. a line of option tcplog, httplog or httpslog, of a connection that failed early, or of a proxy without a log format is taken
//     apart from left to right (text.go), an object of %{+json}o by the names of its members (json.go),
//  3. captured headers are searched for a traceparent (trace.go),
//  4. Line.AppendFields lists what is there, under the names of HAProxy's manual, for whoever encodes it (fields.go).
//
// Everything found is a view of the text. A Line is used again and again, and then nothing is allocated.
package haproxyline
