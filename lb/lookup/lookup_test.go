package lookup

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func file(t testing.TB, text string, isMap bool) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path, isMap)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(f *File) string {
	var b strings.Builder
	for _, e := range f.Entries() {
		b.WriteString(e.Key + "=" + e.Value + ";")
	}
	return b.String()
}

func TestRead(t *testing.T) {
	const lines = "# no\n\n  a  1 2\t\r\nb\tc\nalone\n \n # a key\n"
	if got := text(file(t, lines, true)); got != "a=1 2;b=c;alone=;#=a key;" {
		t.Errorf("map: %s", got)
	}
	if got := text(file(t, lines, false)); got != "a  1 2\t=;b\tc=;alone=;# a key=;" {
		t.Errorf("patterns: %q", got)
	}
	if _, err := Read("/nonexistent", true); err == nil {
		t.Error("a file that is not there is read")
	}
}

// recorder is an index that notes what it is told.
type recorder struct {
	lines map[uint64]string
	order []uint64
	bad   string // a key that it refuses
}

var errBad = errors.New("refused")

func (r *recorder) Check(e *Entry) error {
	if r.bad != "" && e.Key == r.bad {
		return errBad
	}
	return nil
}

func (r *recorder) Fill(list []Entry) {
	r.lines, r.order = map[uint64]string{}, nil
	for i := range list {
		r.Put(&list[i])
	}
}

func (r *recorder) Put(e *Entry) {
	if _, have := r.lines[e.ID]; !have {
		r.order = append(r.order, e.ID)
	}
	r.lines[e.ID] = e.Key + e.Value
}

func (r *recorder) Remove(e *Entry) {
	delete(r.lines, e.ID)
	r.order = slices.DeleteFunc(r.order, func(id uint64) bool { return id == e.ID })
}

func (r *recorder) Find(string) uint64 { return 0 }

func (r *recorder) String() (s string) {
	for _, id := range r.order {
		s += r.lines[id] + " "
	}
	return s
}

// TestChanges: a change reaches all who use the file, or none.
func TestChanges(t *testing.T) {
	f := file(t, "a 1\nb 2\na 3\n", true)
	var first recorder
	second := recorder{bad: "bad"}
	for _, ix := range []Index{&first, &second} {
		if err := f.AddUse(Use{Index: ix}); err != nil {
			t.Fatal(err)
		}
	}
	step := func(what string, err error, want string) {
		t.Helper()
		if err != nil || first.String() != want || second.String() != want {
			t.Errorf("%s: %v, %q, %q; want %q", what, err, first.String(), second.String(), want)
		}
		var lines string
		for _, e := range f.Entries() {
			lines += e.Key + e.Value + " "
		}
		if lines != want {
			t.Errorf("%s: the lines are %q, want %q", what, lines, want)
		}
	}
	step("add", f.Add(Entry{Key: "c", Value: "4"}), "a1 b2 a3 c4 ")
	step("set", f.Set(Ref{Key: "a"}, "9"), "a9 b2 a9 c4 ")
	step("delete a key", f.Delete(Ref{Key: "b"}), "a9 a9 c4 ")
	step("delete a line", f.Delete(Ref{ID: 1}), "a9 c4 ")
	step("add a key again", f.Add(Entry{Key: "a", Value: "5"}, Entry{Key: "b", Value: "6"}), "a9 c4 a5 b6 ")
	step("set a line", f.Set(Ref{ID: 4}, "7"), "a9 c7 a5 b6 ")
	for _, err := range []error{
		f.Set(Ref{Key: "x"}, "1"), f.Delete(Ref{Key: "x"}), f.Delete(Ref{ID: 2}), f.Set(Ref{ID: 99}, "1"),
	} {
		if err != ErrNoEntry {
			t.Errorf("a line that is not there: %v", err)
		}
	}
	if err := f.Add(Entry{Key: "d"}, Entry{Key: "bad"}); err != errBad {
		t.Errorf("a refused change: %v", err)
	}
	step("after a refused change", nil, "a9 c7 a5 b6 ")
	n := f.Prepare()
	if err := f.AddTo(n, Entry{Key: "n", Value: "1"}, Entry{Key: "m", Value: "2"}); err != nil {
		t.Error(err)
	}
	step("commit", f.Commit(n), "n1 m2 ")
	step("delete after a commit", f.Delete(Ref{Key: "n"}), "m2 ")
	step("clear", f.Clear(), "")
	step("reset", f.Reset(), "a1 b2 a3 ")
	if err := f.AddUse(Use{Index: &recorder{bad: "b"}}); !errors.Is(err, errBad) {
		t.Error(err)
	}
}

// TestTableAndList: random changes leave in each what a plain list of lines has.
func TestTableAndList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var table Table[int]
	table.Fill(0, nil)
	list := List[int, int]{Sum: func(items []Item[int]) (n int) {
		for _, it := range items {
			n += it.Value
		}
		return n
	}}
	type line struct {
		id    uint64
		key   string
		value int
	}
	var lines []line
	for id := uint64(1); id < 3000; id++ {
		switch op := r.IntN(10); {
		case op < 6 || len(lines) == 0:
			l := line{id, strings.Repeat("k", r.IntN(4)) + strconv.Itoa(r.IntN(300)), r.Int()}
			lines = append(lines, l)
			table.Put(Keyed[int]{l.id, l.key, len(l.key), l.value})
			list.Put(Item[int]{l.id, l.value})
		case op < 8:
			at := r.IntN(len(lines))
			l := &lines[at]
			l.value = r.Int()
			table.Put(Keyed[int]{l.id, l.key, len(l.key), l.value})
			list.Put(Item[int]{l.id, l.value})
		case op == 8 && id%500 == 0: // all at once
			var keyed []Keyed[int]
			var items []Item[int]
			for _, l := range lines {
				keyed, items = append(keyed, Keyed[int]{l.id, l.key, len(l.key), l.value}), append(items, Item[int]{l.id, l.value})
			}
			table.Fill(len(keyed), func(i int) Keyed[int] { return keyed[i] })
			list.Fill(items)
		default:
			at := r.IntN(len(lines))
			table.Remove(lines[at].id, lines[at].key)
			list.Remove(lines[at].id)
			lines = slices.Delete(lines, at, at+1)
		}
	}
	first, sizes := map[string]line{}, map[int]bool{}
	for _, l := range slices.Backward(lines) {
		first[l.key], sizes[len(l.key)] = l, true
	}
	for k := range 4 {
		for n := range 300 {
			key := strings.Repeat("k", k) + strconv.Itoa(n)
			want := first[key]
			if id, v := table.Get([]byte(key)); id != want.id || v != want.value {
				t.Errorf("%s: line %d, want %d", key, id, want.id)
			}
		}
	}
	if want := slices.Sorted(maps.Keys(sizes)); !slices.Equal(table.Sizes(), reversed(want)) {
		t.Errorf("sizes %v, want %v", table.Sizes(), want)
	}
	at := 0
	for _, part := range list.Parts() {
		sum := 0
		for _, it := range part.Items {
			if at == len(lines) || it.ID != lines[at].id || it.Value != lines[at].value {
				t.Fatalf("line %d of the list is %v", at, it)
			}
			at++
			sum += it.Value
		}
		if sum != part.Sum {
			t.Errorf("a part's sum is another than that of its lines")
		}
	}
	if at != len(lines) {
		t.Errorf("the list has %d lines, want %d", at, len(lines))
	}
}

func reversed(list []int) []int {
	slices.Reverse(list)
	return list
}

// What is read and written as lines reads the same again.
func FuzzRead(f *testing.F) {
	f.Add("a b\n# c\n d\te f \n")
	f.Fuzz(func(t *testing.T, s string) {
		one, two := &File{Map: true}, &File{Map: true}
		if one.read(strings.NewReader(s)) != nil {
			return
		}
		var b strings.Builder
		for _, e := range one.entries {
			b.WriteString(" " + e.Key + " " + e.Value + "\n")
		}
		if err := two.read(strings.NewReader(b.String())); err != nil {
			t.Fatal(err)
		}
		if g, w := text(two), text(one); g != w {
			t.Fatalf("%q, then %q", w, g)
		}
	})
}

// TestChangesKeepNoCopy: a file that is changed costs where its keys stand, and no
// second copy of its lines.
func TestChangesKeepNoCopy(t *testing.T) {
	const lines = 100_000
	var text strings.Builder
	for i := range lines {
		text.WriteString("/key" + strconv.Itoa(i) + "/ value\n")
	}
	path := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Set(Ref{Key: "/key1/"}, "first"); err != nil { // looks for the key before it changes anything
		t.Fatal(err)
	}
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	with := held()
	if err := f.Delete(Ref{Key: "/key2/"}); err != nil {
		t.Fatal(err)
	}
	if per := float64(held()-with) / lines; per > 1 {
		t.Errorf("a change costs %.1f bytes a line", per)
	}
	f.keys = nil
	if per := float64(with-held()) / lines; per > 16 {
		t.Errorf("where keys stand costs %.1f bytes a line", per)
	}
	if err := f.Reset(); err != nil {
		t.Fatal(err)
	}
	if list := f.Entries(); len(list) != lines || list[1].Value != "value" || list[2].Key != "/key2/" {
		t.Errorf("after Reset %d lines, %v", len(list), list[1:3])
	}
	f.settle.Stop() // it would keep the file
}
