// Package cache keeps responses in memory, as HAProxy's cache sections do
// (RFC 9111). A Cache is shared by all loops of a worker.
//
//  1. http-request cache-use: Request.Read says what the request is about (its
//     key), and whether it may be answered from a cache (request.go).
//  2. Cache.Find gives the object, if there is one (cache.go); where the server
//     said Vary, the one that fits the request (vary.go). Object.NotModified says
//     whether the client has it already (validate.go). A Reader gives its bytes.
//  3. http-response cache-store: Cache.Store asks whether the response may be
//     kept (response.go) and begins a new object. Append adds what comes of the
//     body, Commit completes it.
//
// Heads and bodies lie in one piece of memory outside Go's heap, in blocks of
// 1 KiB (blocks.go): it never grows beyond total-max-size, and the garbage
// collector has nothing to look at. What was not used for longest makes room.
//
// The conditions are HAProxy's.
package cache
