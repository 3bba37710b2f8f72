// Package peers speaks HAProxy's peers protocol, version 2.1: nodes that send each
// other what changes in their stick tables, so that a client that is limited on one
// is limited on all of them.
//
//  1. A Section has peers and tables. Begin listens and connects; End stops, and says
//     what the next worker needs to go on without a word being said twice (section.go,
//     state.go).
//  2. A Peer has one connection at a time. It is dialled again when it ends, or the
//     peer dials (peer.go). Both say who they are first (hello.go).
//  3. A session writes changes as they come, and what was asked for (write.go), and
//     learns what it reads (read.go). Messages are made and read in message.go, of
//     numbers as in number.go.
//  4. A node that has just begun asks one peer after the other for everything, until
//     one has it (learn.go).
//  5. Nodes of a cluster send each other their shares of rates and connections, and
//     add them up (share.go).
//  6. Show is `show peers` (show.go).
//
// Tables number their changes (package stick): a peer acknowledges numbers, and a
// connection that is made anew goes on after the last of them. The values are those
// of the last writer, as in HAProxy, and a rate goes with both of its periods.
// conn_cur is sent and never learned. Tables that are added up are the exception.
//
// What a peer sends is believed no further than its form: a message is at most 16 KiB,
// a table gets no more entries than its size, and whatever cannot be read ends the
// connection with a reason. No session costs more than a fixed amount of memory, but
// for 16 bytes for each entry of a table while it is sent as a whole.
package peers
