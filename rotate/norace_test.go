//go:build !race

package rotate

const rare = 1
