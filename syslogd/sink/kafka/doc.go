// Package kafka sends the lines of a log file to Apache Kafka, each at least once and in order in its partition, and reads them back to
// say what is missing.
//
//  1. Deliver makes a record of each line, whose topic and key are templates, and whose headers say where the line stands in which file
//     of which host: that is the key to find gaps and duplicates by (record.go, place.go),
//  2. it produces the records in rounds that hold one batch for each partition at most, so that a batch that is refused has nothing after
//     it that is taken (producer.go),
//  3. all brokers in sync must have acknowledged a record before it counts as taken. The producer is idempotent: what it sends again
//     itself, because a broker died or is no longer the leader, is stored once. A round that is not answered in time goes on in the next
//     call of Deliver (client.go has what is said to the brokers),
//  4. Verify reads topics from end to end and joins the places of the lines of each file: what is left open is a gap (verify.go, spans.go).
//
// A line is stored twice only if a process ended before the acknowledgement of it came. Nothing here runs until a Producer is made.
package kafka
