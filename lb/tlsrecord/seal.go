package tlsrecord

// Seal appends records with data to dst, each with at most size bytes of it.
// Nothing is allocated if dst has room for Room(len(data), size) more.
func (c *Conn) Seal(dst, data []byte, size int) []byte {
	size = min(max(size, 1), MaxPlaintext)
	for len(data) > 0 {
		if c.owes || c.out.seq >= c.limit && !c.suite.chacha && c.is13() {
			dst = c.appendUpdate(dst, 0)
		}
		n := min(len(data), size)
		dst = c.append(dst, ApplicationData, data[:n])
		data = data[n:]
	}
	return dst
}

// Room is how many bytes Seal appends at most for n bytes of data.
func Room(n, size int) int {
	size = min(max(size, 1), MaxPlaintext)
	return n + (n+size-1)/size*Overhead + UpdateSize
}

// Fit is how many bytes of data Seal makes of room, at least; 0 if none.
func Fit(room, size int) int {
	size = min(max(size, 1), MaxPlaintext)
	room -= UpdateSize
	whole := room / (size + Overhead)
	return max(whole*size+max(room-whole*(size+Overhead)-Overhead, 0), 0)
}

// CloseNotify appends our end, once.
func (c *Conn) CloseNotify(dst []byte) []byte {
	if c.said {
		return dst
	}
	c.said = true
	return c.append(dst, AlertRecord, []byte{alertWarning, byte(CloseNotify)})
}

// Alert appends the alert that ends the connection, unless our end was said.
func (c *Conn) Alert(dst []byte, a Alert) []byte {
	if c.said {
		return dst
	}
	c.said = true
	return c.append(dst, AlertRecord, []byte{alertFatal, byte(a)})
}

// appendUpdate appends a KeyUpdate, after which our next key is in use.
func (c *Conn) appendUpdate(dst []byte, request byte) []byte {
	c.owes = false
	dst = c.append(dst, Handshake, []byte{keyUpdate, 0, 0, 1, request})
	if err := c.out.update(c.suite); err != nil {
		// HKDF fails for lengths only, and this one has worked before.
		panic("tlsrecord: " + err.Error())
	}
	return dst
}

// append appends one record.
func (c *Conn) append(dst []byte, kind ContentType, data []byte) []byte {
	h, is13, explicit := &c.out, c.is13(), c.suite.explicit()
	if err := h.wake(c.suite); err != nil {
		panic("tlsrecord: " + err.Error()) // for sizes only, which set has checked
	}
	size := explicit + len(data) + tagSize
	outer := kind
	if is13 {
		size++
		outer = ApplicationData
	}
	at := len(dst)
	dst = append(dst, byte(outer), 3, 3, byte(size>>8), byte(size))
	nonce := h.implicit()
	if explicit > 0 { // the record's number will do: it is used once
		copy(h.nonce[:], h.iv[:])
		for i := range explicit {
			h.nonce[nonceSize-1-i] = byte(h.seq >> (8 * i))
		}
		dst = append(dst, nonce[nonceSize-explicit:]...)
	}
	body := len(dst)
	dst = append(dst, data...)
	var aad []byte
	if is13 {
		dst = append(dst, byte(kind))
		aad = append(h.aad[:0], dst[at:at+HeaderSize]...)
	} else {
		aad = appendAAD12(h, byte(kind), len(data))
	}
	sealed := h.aead.Seal(dst[body:body], nonce, dst[body:], aad)
	h.seq++
	if cap(dst)-body >= len(sealed) { // in its place
		return dst[:body+len(sealed)]
	}
	return append(dst[:body], sealed...)
}
