package hotpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestTokenLinesSuccess(t *testing.T) {
	var lines tokenLines // one for all: nothing of a body may show in the next
	f := func(body string, want ...string) {
		t.Helper()
		if err := lines.parse([]byte(body)); err != nil {
			t.Errorf("%q: %v", body, err)
			return
		}
		var got []string
		for _, token := range lines.tokens {
			got = append(got, string(token))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
	f("")
	f(`{"token":"a"}`, "a")
	f(`{"token":"a"}`+"\n", "a")
	f(`{"token":"a"}`+"\n"+`{"token":"b"}`, "a", "b")
	f(`{"token":"a"}`+"\r\n"+`{"token":"b"}`+"\r\n", "a", "b")
	f("\t{ \"token\" :\t\"a b\" } ", "a b")
	f(`{"token":""}`, "")
	f(`{"\u0074oken":"a"}`, "a")
	f(`{"token":"\"\\\/\b\f\n\r\t"}`, "\"\\/\b\f\n\r\t")
	f(`{"token":"\u00e4\u00E4\ud83d\ude00ä\u0000"}`, "ää😀ä\x00")
	f(`{"token":"a\u0062c"}`+"\n"+`{"token":"d"}`+"\n"+`{"token":"\u0065f"}`, "abc", "d", "ef")
	f(strings.Repeat(`{"token":"a"}`+"\n", 1000), slices.Repeat([]string{"a"}, 1000)...)
}

func TestMalformedLineIsNamed(t *testing.T) {
	f := func(line string) {
		t.Helper()
		var lines tokenLines
		err := lines.parse([]byte(`{"token":"a"}` + "\n" + line + "\n" + `{"token":"b"}`))
		if err == nil || !strings.HasPrefix(err.Error(), "line 2 is not ") {
			t.Errorf("%q: got %v, want line 2 to be named", line, err)
		}
	}
	f("")
	f(" \r")
	f("a")
	f("null")
	f(`"a"`)
	f(`["a"]`)
	f("{}")
	f(`{"token":null}`)
	f(`{"token":1}`)
	f(`{"token":["a"]}`)
	f(`{"Token":"a"}`)
	f(`{"tokens":"a"}`)
	f(`{"token":"a","token":"b"}`)
	f(`{"token":"a","token_type_hint":"access_token"}`)
	f(`{"hint":"a","token":"b"}`)
	f(`{"token":"a",}`)
	f(`{"token":"a"}}`)
	f(`{"token":"a"}{"token":"b"}`)
	f(`{"token":"a"`)
	f(`{"token":"a`)
	f(`{"token":"a}`)
	f(`{"token" "a"}`)
	f(`{token:"a"}`)
	f(`{'token':'a'}`)
	f(`{"token":"\x"}`)
	f(`{"token":"\`)
	f(`{"token":"\u12"}`)
	f(`{"token":"\u12g4"}`)
	f(`{"token":"\ud83d"}`)
	f(`{"token":"\ud83dx"}`)
	f(`{"token":"\ud83d\u0041"}`)
	f(`{"token":"\ude00"}`)
	f("{\"token\":\"\xff\"}")
	f("{\"token\":\"\\n\xff\"}")
	f("{\"token\":\"a\tb\"}")
	f("{\"token\":\"\\n\tb\"}")
	f("{\"token\":\"a\"}\x00")
	f("\ufeff" + `{"token":"a"}`)
}

func TestMoreThanThousandLinesAreRefused(t *testing.T) {
	var lines tokenLines
	if err := lines.parse([]byte(strings.Repeat(`{"token":"a"}`+"\n", 1001))); !errors.Is(err, errLinesTooMany) {
		t.Errorf("got %v, want %v", err, errLinesTooMany)
	}
}

func TestTokenLinesWipeLeavesNoToken(t *testing.T) {
	var lines tokenLines
	if err := lines.parse([]byte(`{"token":"s\u0033cret"}`)); err != nil {
		t.Fatal(err)
	}
	lines.wipe()
	if all := lines.buf[:cap(lines.buf)]; bytes.Contains(all, []byte("cret")) || len(lines.tokens) > 0 {
		t.Errorf("still holds %q, %q", all, lines.tokens)
	}
}

func TestTokenLinesContentType(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/x-ndjson": true, "application/x-ndjson; charset=utf-8": true,
		"application/json": false, "": false,
	} {
		if got := isNDJSON([]byte(contentType)); got != want {
			t.Errorf("%q: got %v, want %v", contentType, got, want)
		}
	}
}

// FuzzTokenLines wants encoding/json, told to be as strict as it can, to read
// the same from each accepted line, and each line it writes to be accepted.
func FuzzTokenLines(f *testing.F) {
	f.Add([]byte(`{"token":"a"}` + "\n" + `{ "token" : "\u00e4\ud83d\ude00\n" }` + "\r\n"))
	f.Add([]byte(`{"\u0074oken":"\\"}`))
	f.Add([]byte(`{"token":"a","token":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		input := bytes.Clone(body)
		var lines tokenLines
		err := lines.parse(body)
		if !bytes.Equal(body, input) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if token, ok := strictLine(body); ok && bytes.IndexByte(body, '\n') < 0 {
				t.Fatalf("%q: %v, but encoding/json reads %q", body, err, token)
			}
			return
		}
		for i, line := range bytes.Split(bytes.TrimSuffix(body, newline), newline) {
			if len(body) == 0 {
				break
			}
			token, ok := strictLine(line)
			if !ok || token != string(lines.tokens[i]) {
				t.Fatalf("%q: got %q, encoding/json %q, %v", line, lines.tokens[i], token, ok)
			}
			written, err := json.Marshal(map[string]string{"token": token})
			if err != nil {
				t.Fatal(err)
			}
			var again tokenLines
			if err := again.parse(written); err != nil || string(again.tokens[0]) != token {
				t.Fatalf("%s: %v", written, err)
			}
		}
	})
}

// strictLine reads one line with encoding/json and without its leniency: one
// member of exactly this name, one value, nothing replaced.
func strictLine(line []byte) (token string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	for _, want := range []json.Token{json.Delim('{'), "token"} {
		if got, err := d.Token(); err != nil || got != want {
			return "", false
		}
	}
	value, err := d.Token()
	if err != nil {
		return "", false
	}
	token, ok = value.(string)
	if end, err := d.Token(); !ok || err != nil || end != json.Delim('}') {
		return "", false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", false
	}
	return token, !strings.ContainsRune(token, '\ufffd') // what it puts for what is not Unicode
}

func BenchmarkTokenLines(b *testing.B) {
	var body bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&body, "{\"token\":\"oat_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGh%04d\"}\n", i)
	}
	var lines tokenLines
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := lines.parse(body.Bytes()); err != nil || len(lines.tokens) != 1000 {
			b.Fatal(err, len(lines.tokens))
		}
	}
}
