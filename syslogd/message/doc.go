// Package message knows what a syslog message looks like: the numbers and names of RFC 5424 and syslog.conf, the header that
// BSD syslog (RFC 3164) puts before the text, and how to find the header's parts in what arrives.
//
// It is the leaf that the balancer and the log daemon share, so it imports nothing of ours and allocates nothing:
//
//  1. a sender appends a header with AppendHeader (or its own, from AppendPriority and a Stamper),
//  2. a receiver finds the parts with Message.Parse: all of them are views of the datagram,
//  3. and writes the text with AppendEscaped, so that one message is one line whatever the sender put in it.
package message
