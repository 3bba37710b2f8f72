package lookup

import (
	"hash/maphash"
	"slices"
)

// keys says where the lines of each key stand: eight bytes a line, for the lines have
// the keys themselves.
type keys struct {
	seed  maphash.Seed
	heads []int32 // by a key's hash: the last line of the chain, and none
	next  []int32 // by place: the line before that in its chain, or one of the values below
}

const (
	none    = -1 // it is the first of its chain
	removed = -2 // the line is no more
)

func keysOf(list []Entry) *keys {
	k := &keys{seed: maphash.MakeSeed(), next: make([]int32, 0, len(list))}
	k.size(len(list))
	for i := range list {
		k.add(list, i)
	}
	return k
}

func (k *keys) size(lines int) {
	n := 8
	for n < lines {
		n *= 2
	}
	k.heads = slices.Repeat([]int32{none}, n)
}

// add notes one more line, the last of list.
func (k *keys) add(list []Entry, at int) {
	if at > 2*len(k.heads) {
		k.size(2 * at)
		for i, next := range k.next {
			if next != removed {
				head := k.head(list[i].Key)
				k.next[i], *head = *head, int32(i)
			}
		}
	}
	head := k.head(list[at].Key)
	k.next = append(k.next, *head)
	*head = int32(at)
}

func (k *keys) head(key string) *int32 {
	return &k.heads[maphash.String(k.seed, key)&uint64(len(k.heads)-1)]
}

// of gives the places of a key's lines, in order.
func (k *keys) of(list []Entry, key string) (places []int) {
	for at := *k.head(key); at != none; at = k.next[at] {
		if list[at].Key == key {
			places = append(places, int(at))
		}
	}
	slices.Reverse(places)
	return places
}

// remove forgets one line.
func (k *keys) remove(list []Entry, at int) {
	link := k.head(list[at].Key)
	for *link != int32(at) {
		link = &k.next[*link]
	}
	*link, k.next[at] = k.next[at], removed
}

// gone reports whether the line at a place was removed.
func (k *keys) gone(at int) bool { return k.next[at] == removed }
