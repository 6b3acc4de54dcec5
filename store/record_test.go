package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sample() Record {
	return Record{
		ID: NewID(time.Now()), Grant: NewID(time.Now()), Issued: 1_800_000_000, Expires: 1_800_003_600, Position: 1 << 40,
		Client: []byte("app"), Subject: []byte("alice"), Scope: []byte("read write"), Audience: []byte("https://api.example.com files"),
	}
}

func TestRecordComesBackAsItWas(t *testing.T) {
	for _, want := range []Record{sample(), {Client: []byte{}, Subject: []byte{}, Scope: []byte{}, Audience: []byte{}}} {
		var got Record
		if err := got.Parse(want.Append(nil)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestDamagedRecordIsRefused(t *testing.T) {
	r := sample()
	whole := r.Append(nil)
	var got Record
	for n := range whole {
		if got.Parse(whole[:n]) == nil {
			t.Fatalf("a record cut to %d of %d bytes was accepted", n, len(whole))
		}
	}
	if got.Parse(append(whole, 0)) == nil {
		t.Error("a record with a byte more was accepted")
	}
	whole[0]++
	if got.Parse(whole) == nil {
		t.Error("a record of another version was accepted")
	}
}

func FuzzRecord(f *testing.F) {
	r := sample()
	f.Add(r.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if r.Parse(b) == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x is accepted and written otherwise", b)
		}
	})
}

func TestIDHasOneText(t *testing.T) {
	id := NewID(time.Now())
	text := id.String()
	if got, err := ParseID(text); err != nil || got != id {
		t.Fatalf("%s: got %s, %v", text, got, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper("01a0abcd-ef01-7000-8000-abcdefabcdef"), strings.ReplaceAll(text, "-", "_"), text[:35] + "g"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// RFC 9562 §5.7: version 7, the variant, and milliseconds since 1970 in front, so that ids sort by time.
func TestIDIsAUUIDv7(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_123)
	id := NewID(at)
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		t.Errorf("%s has version %d, variant %d", id, id[6]>>4, id[8]>>6)
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	if ms != at.UnixMilli() {
		t.Errorf("%s carries %d ms, want %d", id, ms, at.UnixMilli())
	}
	if later := NewID(at.Add(time.Millisecond)); later.String() <= id.String() {
		t.Errorf("%s does not sort after %s", later, id)
	}
	if NewID(at) == id {
		t.Error("two ids are equal")
	}
}
