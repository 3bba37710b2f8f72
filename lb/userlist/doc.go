// Package userlist knows who may pass: the users, passwords and groups of a
// userlist section.
//
//  1. Add and AddGroup fill a List while the configuration is read; Finish
//     puts users and groups together.
//  2. Credentials takes an Authorization field apart.
//  3. Check answers at once what can be answered at once: unknown users, passwords
//     in clear, and the password that a user was found to have before.
//  4. Doubt is what is left: a hash to be computed, some milliseconds of work,
//     on a goroutine and never on a loop. Check is asked again with it.
package userlist
