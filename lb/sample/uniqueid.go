package sample

// UniqueID gives the exchange's unique id, and makes it if nothing has shown
// it yet: what it is made of is as it was then.
func (x *Ctx) UniqueID() []byte {
	if f := x.ID; f != nil && len(x.Rec.UniqueID) == 0 {
		x.ID = nil // a format that shows the id itself shows nothing there
		x.Rec.UniqueID = f.Render(x.Rec.UniqueID[:0], x)
		x.ID = f
	}
	return x.Rec.UniqueID
}
