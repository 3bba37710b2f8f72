//go:build race

package rotate

// rare is by how much a test that repeats something many times repeats it less: under the race detector everything takes many times as long.
const rare = 8
