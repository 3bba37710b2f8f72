package http2

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// greeting is a first frame without which a Reader takes none.
var greeting = AppendSettings(nil)

// frame writes a frame whose payload is given.
func frame(kind Type, flags Flags, stream uint32, payload string) []byte {
	return append(AppendHeader(nil, Header{len(payload), kind, flags, stream}), payload...)
}

// read reads all of b, and says what came of it.
func read(r *Reader, b []byte) (said []string, rest int, e *Error) {
	for {
		f, n, e := r.Next(b)
		if e != nil || n == 0 {
			return said, len(b), e
		}
		b = b[n:]
		said = append(said, fmt.Sprintf("%d/%d/%d %q %v", f.Type, f.Flags, f.Stream, f.Payload, f.Empty))
	}
}

// TestReader: what frames become.
func TestReader(t *testing.T) {
	row := func(name, want string, frames ...[]byte) {
		t.Helper()
		r := Reader{MaxBlock: 20, Settled: true}
		said, _, e := read(&r, bytes.Join(frames, nil))
		if e != nil {
			said = append(said, e.Code.String())
		}
		if got := strings.Join(said, ", "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	prio, selfish := "\x80\x00\x00\x03\x10", "\x80\x00\x00\x01\x10"
	row("DATA", `0/0/1 "abc" false`, frame(Data, 0, 1, "abc"))
	row("padded", `0/8/1 "abc" false`, frame(Data, Padded, 1, "\x02abc__"))
	row("padding alone", `0/8/1 "" true`, frame(Data, Padded, 1, "\x02__"))
	row("an end", `0/1/1 "" false`, frame(Data, EndStream, 1, ""))
	row("too much padding", "PROTOCOL_ERROR", frame(Data, Padded, 1, "\x04abc"))
	row("no padding", "FRAME_SIZE_ERROR", frame(Data, Padded, 1, ""))
	row("DATA of nobody", "PROTOCOL_ERROR", frame(Data, 0, 0, "abc"))

	row("HEADERS", `1/44/1 "abc" false`, frame(Headers, EndHeaders|Padded|HasPrio, 1, "\x01"+prio+"abc_"))
	row("a short priority", "FRAME_SIZE_ERROR", frame(Headers, EndHeaders|HasPrio, 1, prio[1:]))
	row("a priority of its own", "PROTOCOL_ERROR", frame(Headers, EndHeaders|HasPrio, 1, selfish))
	row("an even stream", "PROTOCOL_ERROR", frame(Headers, EndHeaders, 2, "a"))
	row("parts", `9/1/1 "" false, 9/0/1 "" true, 1/1/1 "abc" false`,
		frame(Headers, EndStream, 1, "a"), frame(Continuation, 0, 1, ""), frame(Continuation, EndHeaders, 1, "bc"))
	row("an empty last part", `9/0/1 "" false, 1/0/1 "a" true`, frame(Headers, 0, 1, "a"), frame(Continuation, EndHeaders, 1, ""))
	row("a part of another's", `9/0/1 "" false, PROTOCOL_ERROR`, frame(Headers, 0, 1, "a"), frame(Continuation, EndHeaders, 3, ""))
	row("interrupted", `9/0/1 "" false, PROTOCOL_ERROR`, frame(Headers, 0, 1, "a"), frame(Ping, 0, 0, "12345678"))
	row("a part of nothing", "PROTOCOL_ERROR", frame(Continuation, EndHeaders, 1, "a"))
	row("a part after the end", `1/4/1 "a" false, PROTOCOL_ERROR`, frame(Headers, EndHeaders, 1, "a"), frame(Continuation, EndHeaders, 1, "a"))
	row("too many parts", `9/0/1 "" false, 9/0/1 "" false, ENHANCE_YOUR_CALM`,
		frame(Headers, 0, 1, "0123456789"), frame(Continuation, 0, 1, "0123456789"), frame(Continuation, EndHeaders, 1, "0"))

	row("PRIORITY", fmt.Sprintf(`2/0/1 %q false`, prio), frame(Priority, 0, 1, prio))
	row("PRIORITY on itself", "PROTOCOL_ERROR", frame(Priority, 0, 1, selfish))
	row("PRIORITY of nobody", "PROTOCOL_ERROR", frame(Priority, 0, 0, prio))
	row("half a PRIORITY", "FRAME_SIZE_ERROR", frame(Priority, 0, 1, prio[1:]))
	row("RST_STREAM of nobody", "PROTOCOL_ERROR", frame(RSTStream, 0, 0, "1234"))
	row("half a RST_STREAM", "FRAME_SIZE_ERROR", frame(RSTStream, 0, 1, "12"))
	row("SETTINGS on a stream", "PROTOCOL_ERROR", frame(SettingsFrame, 0, 1, ""))
	row("half a setting", "FRAME_SIZE_ERROR", frame(SettingsFrame, 0, 0, "1234"))
	row("an acknowledgement of something", "FRAME_SIZE_ERROR", frame(SettingsFrame, Ack, 0, "123456"))
	row("a promise", "PROTOCOL_ERROR", frame(PushPromise, EndHeaders, 1, "\x00\x00\x00\x02"))
	row("PING on a stream", "PROTOCOL_ERROR", frame(Ping, 0, 1, "12345678"))
	row("half a PING", "FRAME_SIZE_ERROR", frame(Ping, 0, 0, "1234"))
	row("half a GOAWAY", "PROTOCOL_ERROR", frame(GoAway, 0, 0, "1234"))
	row("GOAWAY on a stream", "PROTOCOL_ERROR", frame(GoAway, 0, 1, "12345678"))
	row("half a WINDOW_UPDATE", "FRAME_SIZE_ERROR", frame(WindowUpdate, 0, 1, "12"))
	row("an extension", `200/255/7 "what" false`, frame(200, 255, 7, "what"))
	row("a large frame", "FRAME_SIZE_ERROR", AppendHeader(nil, Header{Length: MinMaxFrame + 1}))
}

// TestReaderFirst: the first frame of a peer is SETTINGS, and not ours given back.
func TestReaderFirst(t *testing.T) {
	for _, b := range [][]byte{AppendSettingsAck(nil), frame(Ping, 0, 0, "12345678"), frame(200, 0, 0, "")} {
		var r Reader
		if _, _, e := r.Next(b); e == nil || e.Code != ProtocolError || r.Settled {
			t.Errorf("%x: %v", b, e)
		}
	}
}

// TestPeer: what SETTINGS change.
func TestPeer(t *testing.T) {
	p := NewPeer()
	enc := NewEncoder()
	apply := func(settings ...Setting) (int64, *Error) {
		b := AppendSettings(nil, settings...)
		f := Frame{Payload: b[HeaderLen:]}
		return p.Apply(&f, enc)
	}
	shift, e := apply(Setting{InitialWindowSize, 1000}, Setting{77, 1}, Setting{MaxFrameSize, MaxMaxFrame}, Setting{MaxConcurrentStreams, 7}, Setting{EnableConnect, 1},
		Setting{HeaderTableSize, 100}, Setting{EnablePush, 1}, Setting{InitialWindowSize, DefaultWindow - 5})
	if want := (Peer{FirstWindow: DefaultWindow - 5, MaxFrame: MinMaxFrame, MaxStreams: 7, Push: true, Connect: true}); e != nil || shift != -5 || p != want || enc.TableSize() != 100 {
		t.Errorf("%d, %v, %+v, a table of %d", shift, e, p, enc.TableSize())
	}
	for _, one := range []struct {
		Setting
		code Code
	}{
		{Setting{EnablePush, 2}, ProtocolError}, {Setting{EnableConnect, 2}, ProtocolError}, {Setting{InitialWindowSize, MaxWindow + 1}, FlowControlError},
		{Setting{MaxFrameSize, MinMaxFrame - 1}, ProtocolError}, {Setting{MaxFrameSize, MaxMaxFrame + 1}, ProtocolError},
	} {
		if _, e := apply(one.Setting); e == nil || e.Code != one.code {
			t.Errorf("setting %d to %d: %v", one.ID, one.Value, e)
		}
	}
}

// TestSendWindow: how far a window goes.
func TestSendWindow(t *testing.T) {
	w := SendWindow(10)
	if e := w.Shift(-30); e != nil || w != -20 {
		t.Errorf("%d, %v", w, e)
	}
	if e := w.Update(0); e == nil || e.Code != ProtocolError {
		t.Error(e)
	}
	if e := w.Update(MaxWindow); e != nil {
		t.Error(e)
	}
	if e := w.Update(21); e == nil || e.Code != FlowControlError {
		t.Error(e)
	}
	if w = MaxWindow; w.Shift(1) == nil {
		t.Error("a window too large")
	}
}

// FuzzReader: frames are the same in whichever pieces they come, and however
// often the reader is asked before they are complete.
func FuzzReader(f *testing.F) {
	f.Add(frame(Data, Padded, 1, "\x02abc__"), 3)
	f.Add(slices.Concat(frame(Headers, EndStream, 1, "a"), frame(Continuation, 0, 1, ""), frame(Continuation, EndHeaders, 1, "bc")), 1)
	f.Add(frame(Headers, EndHeaders|Padded|HasPrio, 1, "\x01\x80\x00\x00\x03\x10abc_"), 5)
	f.Add(slices.Concat(frame(Ping, 0, 0, "12345678"), frame(GoAway, 0, 0, "\x00\x00\x00\x05\x00\x00\x00\x01why"), frame(WindowUpdate, 0, 5, "1234"), frame(RSTStream, 0, 5, "1234")), 10)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		if piece <= 0 {
			return
		}
		b = slices.Concat(greeting, b)
		once := Reader{MaxBlock: 1000}
		want, left, wantErr := read(&once, b)
		var pieces Reader
		pieces.MaxBlock = 1000
		var got []string
		var gotErr *Error
		var in []byte
		rest := b
		for len(rest) > 0 && gotErr == nil {
			n := min(piece, len(rest))
			in = append(in, rest[:n]...)
			rest = rest[n:]
			said, left, e := read(&pieces, in)
			in = append([]byte(nil), in[len(in)-left:]...)
			got, gotErr = append(got, said...), e
		}
		if !slices.Equal(got, want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Fatalf("in pieces %q, %v; at once %q, %v", got, gotErr, want, wantErr)
		}
		if wantErr == nil && (len(in) != left || !bytes.Equal(pieces.Block, once.Block) || pieces.BlockOf != once.BlockOf) {
			t.Fatalf("what is left differs: %d, %d bytes", len(in), left)
		}
	})
}
