// Package post delivers records over HTTP.
//
//  1. Sink.Deliver has the Encoding write a body, and compresses it (post.go),
//  2. sends it to the receiver that answered last, or to the next one when that cannot be reached (targets.go),
//  3. with headers and secrets as their files are now (secrets.go),
//  4. and makes an Answer of the status and the body (answer.go).
package post
