package cache

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Settings are a cache section.
type Settings struct {
	Name         string
	Size         int64 // of all objects, in bytes
	MaxObject    int64 // of one with its head, in bytes; 0: a 256th of Size
	MaxAge       int64 // how long an object is used at most, in seconds
	Vary         bool  // responses that say Vary may be kept
	MaxSecondary int   // objects of one key at most, where they vary
}

// Defaults of cache sections.
const (
	DefaultMaxAge       = 60
	DefaultMaxSecondary = 10
)

// Cache is one cache section's objects. Safe for concurrent use.
type Cache struct {
	Settings

	mu sync.Mutex
	// mu guards the fields below.
	blocks  blocks
	objects map[Key]*Object // the first of each key; Object.sibling has the others
	// used is a ring through all objects: used.later is the one that was not used
	// for longest.
	used Object
}

// New makes an empty cache.
func New(s Settings) (*Cache, error) {
	if s.MaxObject == 0 {
		s.MaxObject = s.Size / 256
	}
	c := &Cache{Settings: s, objects: map[Key]*Object{}}
	c.used.later, c.used.earlier = &c.used, &c.used
	var err error
	if c.blocks, err = newBlocks(s.Size); err == nil {
		runtime.AddCleanup(c, func(memory []byte) { _ = unix.Munmap(memory) }, c.blocks.memory)
	}
	return c, err
}

// Object is a response that is kept, or is being stored.
type Object struct {
	cache *Cache
	key   Key
	vary  variant

	// Immutable after Store.
	head         int   // bytes of the head
	stored       int64 // when, in Unix seconds
	age          int64 // how old it was then
	expires      int64 // Unix seconds
	lastModified int64
	etag         string

	// Owned by whoever stores it; immutable after Commit.
	first, last uint32
	size        int64 // bytes, with the head

	// The fields below are guarded by Cache.mu.
	complete       bool // it may be used
	indexed        bool
	refs           int // readers, and whoever stores it
	count          int // blocks
	sibling        *Object
	earlier, later *Object // in Cache.used
}

// Find gives the object that answers a request, nil if there is none. The caller
// must call Release exactly once.
func (c *Cache) Find(r *Request, now int64) *Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := c.objects[r.Key]; o != nil; o = o.sibling {
		if o.expires <= now || !o.vary.fits(r) {
			continue
		}
		if !o.complete {
			return nil
		}
		o.refs++
		o.touch()
		return o
	}
	return nil
}

// Forget drops all objects of a key: a request has changed what they are about.
func (c *Cache) Forget(k Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := c.objects[k]; o != nil; o = c.objects[k] {
		c.drop(o)
	}
}

// begin has an object stored in place of one that the request would have been
// answered with; false if another one is being stored, or too many of the key are
// there.
func (c *Cache) begin(r *Request, o *Object) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	siblings := 0
	for one := c.objects[r.Key]; one != nil; {
		after := one.sibling
		switch fits := one.vary.fits(r) || o.vary == (variant{}); {
		case fits && !one.complete && one.expires > o.stored:
			return false
		case fits || one.expires <= o.stored:
			c.drop(one)
		default:
			siblings++
		}
		one = after
	}
	if siblings > 0 && siblings >= c.MaxSecondary {
		return false
	}
	o.sibling, c.objects[r.Key] = c.objects[r.Key], o
	o.indexed = true
	o.link()
	return true
}

// drop takes an object out of the index. What is not used any more is free.
func (c *Cache) drop(o *Object) {
	if o.indexed {
		o.indexed = false
		at := c.objects[o.key]
		switch {
		case at == o && o.sibling == nil:
			delete(c.objects, o.key)
		case at == o:
			c.objects[o.key] = o.sibling
		default:
			for at.sibling != o {
				at = at.sibling
			}
			at.sibling = o.sibling
		}
	}
	o.unlink()
	o.dropIfUnused()
}

// grow gives the object another block; false when there is none to be had.
func (o *Object) grow() bool {
	c := o.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for oldest := c.used.later; c.blocks.left == 0; {
		if oldest == &c.used {
			return false
		}
		after := oldest.later
		if oldest.refs == 0 {
			c.drop(oldest)
		}
		oldest = after
	}
	n := c.blocks.take()
	if o.last == none {
		o.first = n
	} else {
		c.blocks.next[o.last] = n
	}
	o.last = n
	o.count++
	return true
}

// Append adds bytes to the object; false when it becomes too large, or there is
// no room. Then only Discard may follow.
func (o *Object) Append(p []byte) bool {
	if o.size+int64(len(p)) > o.cache.MaxObject {
		return false
	}
	for len(p) > 0 {
		in := int(o.size % blockSize)
		if in == 0 && !o.grow() {
			return false
		}
		n := copy(o.cache.blocks.bytes(o.last)[in:], p)
		o.size += int64(n)
		p = p[n:]
	}
	return true
}

// Commit makes the object one that answers requests. It is the storer's last call.
func (o *Object) Commit() {
	o.cache.mu.Lock()
	defer o.cache.mu.Unlock()
	o.complete = true
	o.refs--
	o.dropIfUnused() // somebody may have forgotten it meanwhile
}

// Discard gives up what was stored so far. It is the storer's last call.
func (o *Object) Discard() {
	c := o.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	o.refs--
	c.drop(o)
}

// Release ends the use of an object that Find gave.
func (o *Object) Release() {
	o.cache.mu.Lock()
	defer o.cache.mu.Unlock()
	o.refs--
	o.dropIfUnused()
}

// dropIfUnused frees the memory of an object that nobody can find and nobody
// reads. Cache.mu is held.
func (o *Object) dropIfUnused() {
	if o.refs == 0 && !o.indexed {
		o.cache.blocks.give(o.first)
		o.first, o.last, o.count = none, none, 0
	}
}

// touch makes the object the one that was used last. Cache.mu is held.
func (o *Object) touch() {
	o.unlink()
	o.link()
}

func (o *Object) link() {
	u := &o.cache.used
	o.earlier, o.later = u.earlier, u
	u.earlier.later, u.earlier = o, o
}

func (o *Object) unlink() {
	if o.later != nil {
		o.earlier.later, o.later.earlier = o.later, o.earlier
		o.earlier, o.later = nil, nil
	}
}

// Age is how old the object is, in seconds.
func (o *Object) Age(now int64) int64 {
	return min(max(now-o.stored, 0)+o.age, maxAge)
}

// Head is how many of the object's bytes are the response's head.
func (o *Object) Head() int { return o.head }

// Size is how many bytes the object has, with its head.
func (o *Object) Size() int64 { return o.size }

// Reader reads an object from its beginning.
type Reader struct {
	o   *Object
	at  uint32
	off int64
}

// Reader begins to read; the object must stay the caller's meanwhile.
func (o *Object) Reader() Reader { return Reader{o: o, at: o.first} }

// Left is how many bytes are still to be read.
func (r *Reader) Left() int64 { return r.o.size - r.off }

// Read fills p as far as there are bytes.
func (r *Reader) Read(p []byte) (n int) {
	b := &r.o.cache.blocks
	for n < len(p) && r.Left() > 0 {
		in := int(r.off % blockSize)
		k := copy(p[n:], b.bytes(r.at)[in:min(blockSize, int64(in)+r.Left())])
		n += k
		r.off += int64(k)
		if in+k == blockSize && r.Left() > 0 {
			r.at = b.next[r.at]
		}
	}
	return n
}

// Row is what `show cache` shows of an object.
type Row struct {
	Hash      uint32
	Secondary [8]byte
	Size      int64
	Blocks    int
	Refs      int
	Expire    int64 // seconds from now
}

// Rows are all objects, those that were not used for longest first, and how many
// blocks are free.
func (c *Cache) Rows(now int64) (rows []Row, left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := c.used.later; o != &c.used; o = o.later {
		if o.complete {
			rows = append(rows, Row{o.key.short(), o.vary.bytes(), o.size, o.count, o.refs, o.expires - now})
		}
	}
	return rows, c.blocks.left
}
