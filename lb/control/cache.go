package control

import "fmt"

// Cache is one cache section and what is in it.
type Cache struct {
	Name    string
	Free    int // blocks of 1 KiB
	Objects []CacheObject
}

// CacheObject is a response that is kept.
type CacheObject struct {
	Hash      uint32
	Secondary [8]byte // of what it varies by
	Size      int64
	Blocks    int
	Refs      int
	Expire    int64 // seconds from now; it may be over
}

// caching is a Runtime that has caches.
type caching interface{ Caches() []Cache }

// showCache writes `show cache`. HAProxy's lines begin with addresses in memory;
// these are numbers that mean nothing.
func showCache(c *session, _ []string) {
	r, ok := c.Runtime.(caching)
	if !ok {
		return
	}
	for i, one := range r.Caches() {
		c.say(fmt.Sprintf("%#x: %s (shctx:%#x, available blocks:%d)", i+1, one.Name, i+1, one.Free))
		for j, o := range one.Objects {
			c.say(fmt.Sprintf("%#x hash:%d vary:0x%x size:%d (%d blocks), refcount:%d, expire:%d", j+1, o.Hash, o.Secondary, o.Size, o.Blocks, o.Refs, o.Expire))
		}
	}
}
