package backend

import (
	"cmp"
	"net/netip"
	"slices"
)

// hashTable places a hash on a server: by a map with one slot per unit of
// weight (hash-type map-based) or by a ring of points (consistent), laid out
// as HAProxy lays them out, so that moving from one to the other keeps clients
// and caches where they are.
type hashTable struct {
	slots []*Server
	ring  []ringPoint
}

type ringPoint struct {
	at  uint32
	srv *Server
}

// pointsPerWeight is how many ring points a unit of weight has.
const pointsPerWeight = 16

func (t *hashTable) build(active []*Server, total int, consistent bool) {
	t.slots, t.ring = t.slots[:0], t.ring[:0]
	if consistent {
		for _, s := range active {
			for n := range s.weight * pointsPerWeight {
				t.ring = append(t.ring, ringPoint{FullHash(uint32(s.ID*256*pointsPerWeight + n)), s})
			}
		}
		slices.SortFunc(t.ring, func(a, b ringPoint) int { return cmp.Compare(a.at, b.at) })
		return
	}
	score := make([]int, len(active))
	for range total {
		best := 0
		for i, s := range active {
			score[i] += s.weight
			if score[i] > score[best] {
				best = i
			}
		}
		score[best] -= total
		t.slots = append(t.slots, active[best])
	}
}

func (t *hashTable) lookup(hash uint32, total int, avoid *Server) *Server {
	if len(t.ring) > 0 {
		i, _ := slices.BinarySearchFunc(t.ring, hash, func(p ringPoint, h uint32) int { return cmp.Compare(p.at, h) })
		for n := range t.ring {
			if s := t.ring[(i+n)%len(t.ring)].srv; s != avoid {
				return s
			}
		}
		return avoid
	}
	for n := range t.slots {
		if s := t.slots[(int(hash%uint32(total))+n)%len(t.slots)]; s != avoid {
			return s
		}
	}
	return avoid
}

// HashAddr is the hash of balance source.
func HashAddr(a netip.Addr) uint32 {
	var h uint32
	if a.Is4() {
		b := a.As4()
		h = word(b[:])
	} else {
		b := a.As16()
		for i := 0; i < 16; i += 4 {
			h ^= word(b[i:])
		}
	}
	return FullHash(h)
}

func word(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// HashBytes is the sdbm hash of balance uri.
func HashBytes(b []byte) uint32 {
	var h uint32
	for _, c := range b {
		h = uint32(c) + h<<6 + h<<16 - h
	}
	return h
}

// FullHash spreads a 32-bit value over all bits.
func FullHash(a uint32) uint32 {
	a = (a + 0x7ed55d16) + a<<12
	a = (a ^ 0xc761c23c) ^ a>>19
	a = (a + 0x165667b1) + a<<5
	a = (a + 0xd3a2646c) ^ a<<9
	a = (a + 0xfd7046c5) + a<<3
	a = (a ^ 0xb55a4f09) ^ a>>16
	return a * 3221225473
}
