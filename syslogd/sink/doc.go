// Package sink sends the lines of a log file to a receiver that acknowledges batches, each line at least once and in order.
//
//  1. A queue.Queue reads whole lines from the file; they are gathered until the batch is large or old enough (batch.go),
//  2. Peer.Deliver brings records to the receiver and returns what that answered (peer.go),
//  3. what was not taken is delivered again after a pause that doubles and varies, or that the receiver asked for; what is too large is halved
//     (deliver.go),
//  4. a record for which the receiver refuses others too is found by halving, and set aside in a file (aside.go),
//  5. when each record of the batch was taken or set aside, the position after it is stored, and the files before it are released (sender.go).
//
// One batch is under way at a time, so that lines arrive in order. What arrives twice: the batch whose answer was lost, and the batch that was under
// way when this process was killed.
package sink
