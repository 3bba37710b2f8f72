//go:build race

package stream

// rare is by how much a test that repeats something at random repeats it less: under the race detector everything takes many times as long.
const rare = 4
