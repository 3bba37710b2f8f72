//go:build !race

package stream

const rare = 1
