// Package relp has the frames of RELP, rsyslog's Reliable Event Logging Protocol, for both ends of a connection (specification: doc/relp.md of
// librelp).
//
//  1. A frame is "TXNR COMMAND DATALEN [DATA]LF". Commands have numbers, which begin at 1 and go up by one; number 0 is a hint, which nobody
//     answers (frame.go),
//  2. the client begins with "open" and its offers, and the server answers with those that it takes (offers.go),
//  3. each "syslog" command carries one message, and its response says whether the server has taken it: 200, or another code and a reason
//     (response.go),
//  4. the client ends with "close"; the server may say "serverclose" before it ends the connection.
//
// Nothing in a frame tells where the next one begins if its length is wrong. A frame that does not parse is therefore the end of its connection.
package relp
