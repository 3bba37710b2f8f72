package lookup

import "slices"

// keys says where the lines of each key stand.
type keys struct {
	last   map[string]int32 // the last line of a key
	before []int32          // by place: the line of the same key before that, or one of the values below
}

const (
	none    = -1 // it is the first of its key
	removed = -2 // the line is no more
)

func keysOf(list []Entry) *keys {
	k := &keys{last: make(map[string]int32, len(list)), before: make([]int32, 0, len(list))}
	for i := range list {
		k.add(i, list[i].Key)
	}
	return k
}

// add notes one more line, at the end.
func (k *keys) add(at int, key string) {
	last, ok := k.last[key]
	if !ok {
		last = none
	}
	k.before = append(k.before, last)
	k.last[key] = int32(at)
}

// of gives the places of a key's lines, in order.
func (k *keys) of(key string) (list []int) {
	at, ok := k.last[key]
	for ok && at >= 0 {
		list = append(list, int(at))
		at = k.before[at]
	}
	slices.Reverse(list)
	return list
}

// remove forgets one line of a key.
func (k *keys) remove(at int, key string) {
	last := k.last[key]
	switch {
	case last != int32(at):
		for later := last; later >= 0; later = k.before[later] {
			if k.before[later] == int32(at) {
				k.before[later] = k.before[at]
			}
		}
	case k.before[at] >= 0:
		k.last[key] = k.before[at]
	default:
		delete(k.last, key)
	}
	k.before[at] = removed
}

// gone reports whether the line at a place was removed.
func (k *keys) gone(at int) bool { return k.before[at] == removed }
