package backend

import (
	"cmp"
	"hash/crc32"
	"math/bits"
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
	turn  int // where the next request goes that has nothing to hash
}

type ringPoint struct {
	at  uint32
	srv *Server
}

const (
	pointsPerWeight = 16                    // ring points of a unit of weight
	maxPoints       = 256 * pointsPerWeight // of one server: what keeps servers' points apart
)

// build lays the table out for the active servers. unit is what all configured
// weights are multiples of: a map's slots stand for units of it.
func (t *hashTable) build(active []*Server, unit int, consistent bool) {
	t.slots, t.ring = t.slots[:0], t.ring[:0]
	if consistent {
		t.buildRing(active)
		return
	}
	total := 0
	for _, s := range active {
		total += s.units(unit)
	}
	// Each slot goes to the first of the servers that have saved up most whole
	// turns: not to the one that has saved up most, which would give another map
	// than HAProxy's.
	score := make([]int, len(active))
	for range total {
		best, most := 0, -1
		for i, s := range active {
			score[i] += s.units(unit)
			if turns := (score[i] + total) / total; turns > most {
				best, most = i, turns
			}
		}
		score[best] -= total
		t.slots = append(t.slots, active[best])
	}
}

// units is the weight in units of unit; a weight set since may be no multiple.
func (s *Server) units(unit int) int { return (s.weight + unit - 1) / unit }

// commonUnit is the greatest common divisor of the configured weights.
func commonUnit(servers []*Server) int {
	unit := 0
	for _, s := range servers {
		for a, b := unit, s.Initial; ; a, b = b, a%b {
			if b == 0 {
				unit = a
				break
			}
		}
	}
	return max(unit, 1)
}

func (t *hashTable) buildRing(active []*Server) {
	for _, s := range active {
		for n := range s.weight * pointsPerWeight {
			t.ring = append(t.ring, ringPoint{FullHash(uint32(s.ID*maxPoints + n)), s})
		}
	}
	slices.SortStableFunc(t.ring, func(a, b ringPoint) int { return cmp.Compare(a.at, b.at) })
}

// lookup gives the server of a hash, or the one after it in the table when
// that is to be avoided; nil when the table is empty.
func (t *hashTable) lookup(hash uint32, avoid *Server) *Server {
	if len(t.ring) > 0 {
		for i, n := t.nearest(hash), 0; n < len(t.ring); i, n = i+1, n+1 {
			if s := t.ring[i%len(t.ring)].srv; s != avoid {
				return s
			}
		}
		return avoid
	}
	for n := range t.slots {
		if s := t.slots[(int(hash%uint32(len(t.slots)))+n)%len(t.slots)]; s != avoid {
			return s
		}
	}
	return avoid
}

// next is for a request that has nothing to hash: the servers of the table take
// turns, point by point. nil when all are full.
func (t *hashTable) next(avoid *Server) *Server {
	at := func(i int) *Server {
		if len(t.ring) > 0 {
			return t.ring[i].srv
		}
		return t.slots[i]
	}
	size := max(len(t.ring), len(t.slots))
	var avoided *Server
	after := 0
	for range size {
		if t.turn >= size {
			t.turn = 0
		}
		s := at(t.turn)
		t.turn++
		switch {
		case s.full():
		case s != avoid:
			return s
		default:
			avoided, after = s, t.turn
		}
	}
	if avoided != nil {
		t.turn = after
	}
	return avoided
}

// bounded is lookup on a ring that passes servers by which have more than their
// part of all requests, by the backend's factor (hash-balance-factor): slots are
// counted as HAProxy counts them. mu is held.
func (b *Backend) bounded(hash uint32, avoid *Server) *Server {
	ring := b.hashes.ring
	if len(ring) == 0 {
		return avoid
	}
	served, weight := 0, 0
	for _, s := range b.active {
		served += s.load()
		s.before = weight
		weight += s.weight
	}
	slots := ((served+1)*b.BalanceFactor + 99) / 100
	each, rest := slots/weight, slots%weight
	for i, n := b.hashes.nearest(hash), 0; n < len(ring); i, n = i+1, n+1 {
		s := ring[i%len(ring)].srv
		own := s.weight*each + (s.before+s.weight)*rest/weight - s.before*rest/weight
		if s != avoid && s.load() < max(own, 1) {
			return s
		}
	}
	return b.hashes.lookup(hash, avoid)
}

// nearest is the index of the ring's point next to hash, on either side; the
// one before it of two as near.
func (t *hashTable) nearest(hash uint32) int {
	next, _ := slices.BinarySearchFunc(t.ring, hash, func(p ringPoint, h uint32) int { return cmp.Compare(p.at, h) })
	next %= len(t.ring)
	prev := (next + len(t.ring) - 1) % len(t.ring)
	if hash-t.ring[prev].at <= t.ring[next].at-hash {
		return prev
	}
	return next
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
	return h
}

func word(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// HashFunc is a hash function of hash-type.
type HashFunc func([]byte) uint32

// HashFuncs are the functions by HAProxy's names.
var HashFuncs = map[string]HashFunc{"sdbm": HashBytes, "djb2": djb2, "wt6": wt6, "crc32": crc32.ChecksumIEEE}

func djb2(b []byte) uint32 {
	h := uint32(5381)
	for _, c := range b {
		h = h<<5 + h + uint32(c)
	}
	return h
}

func wt6(b []byte) uint32 {
	h0, h1 := uint32(0xa53c965a), uint32(0x5ca6953a)
	step0, step1 := 6, 18
	for _, c := range b {
		h0 = ^(h0 ^ uint32(c))
		h1 = ^(h1 + uint32(c))
		h0, h1 = bits.RotateLeft32(h1, step0), bits.RotateLeft32(h0, step1)
		t := (h0>>16 ^ h1) & 0xffff
		step0, step1 = int(t&0x1f), int(t>>11)
	}
	return h0 ^ h1
}

// HashBytes is sdbm, the usual hash function.
func HashBytes(b []byte) uint32 {
	var h uint32
	for _, c := range b {
		h = uint32(c) + h<<6 + h<<16 - h
	}
	return h
}

// FullHash spreads a 32-bit value over all bits (avalanche).
func FullHash(a uint32) uint32 {
	a = (a + 0x7ed55d16) + a<<12
	a = (a ^ 0xc761c23c) ^ a>>19
	a = (a + 0x165667b1) + a<<5
	a = (a + 0xd3a2646c) ^ a<<9
	a = (a + 0xfd7046c5) + a<<3
	a = (a ^ 0xb55a4f09) ^ a>>16
	return a * 3221225473
}
