package hotpath

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestFormSuccess(t *testing.T) {
	f := func(body string, want ...string) { // names and values in turn
		t.Helper()
		var parsed form
		if err := parsed.parse([]byte(body), "resource", "audience"); err != nil {
			t.Errorf("%q: %v", body, err)
			return
		}
		var got []string
		for _, p := range parsed.pairs[:parsed.n] {
			got = append(got, string(p.name), string(p.value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
	f("")
	f("a=b", "a", "b")
	f("a=b&c=d", "a", "b", "c", "d")
	f("&a=b&&c=d&", "a", "b", "c", "d")
	f("a", "a", "")
	f("a=", "a", "")
	f("=a", "", "a")
	f("a=b=c", "a", "b=c")
	f("a;b=c;d", "a;b", "c;d")
	f("%61=%62", "a", "b")
	f("a=b+c%20d%2Be%2bf", "a", "b c d+e+f")
	f("a=%26%3D%25", "a", "&=%")
	f("a=%09", "a", "\t")
	f("a=%C3%A4\xc3\xa4", "a", "ää")
	f("resource=a&resource=b&audience=c&audience=c", "resource", "a", "resource", "b", "audience", "c", "audience", "c")
	f(strings.Repeat("resource=a&", 64), slices.Repeat([]string{"resource", "a"}, 64)...)
}

func TestFormFailure(t *testing.T) {
	f := func(body string, want error) {
		t.Helper()
		var parsed form
		if err := parsed.parse([]byte(body), "resource"); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", body, err, want)
		}
	}
	for _, bad := range []string{"%", "%4", "%zz", "%4g", "%g4", "% 4", "%+4", "a%"} {
		f("a="+bad, errFormEncoding)
		f(bad+"=a", errFormEncoding)
		f("x=y&a="+bad+"&z=z", errFormEncoding)
	}
	for _, bad := range []string{"%00", "%0A", "%0d", "%1f", "%7F", "\x00", "\n", "\r", "%ff", "%C3", "%C3%28", "%ED%A0%80", "%C0%80", "\xff"} {
		f("a="+bad, errFormText)
		f(bad+"=a", errFormText)
	}
	f("a=b&a=c", errFormRepeated)
	f("a=b&a=b", errFormRepeated)
	f("a=b&%61=b", errFormRepeated)
	f("a=&a=b", errFormRepeated)
	f("a=b&a", errFormRepeated)
	f("resource=a&scope=b&resource=c&scope=d", errFormRepeated)
	f(strings.Repeat("resource=a&", 65), errFormTooMany)
	distinct := new(strings.Builder)
	for i := range 20_000 {
		fmt.Fprintf(distinct, "p%d=v&", i)
	}
	f(distinct.String(), errFormTooMany)
}

func TestFormParameterWithoutValueIsOmitted(t *testing.T) { // RFC 6749 §3.2
	var f form
	if err := f.parse([]byte("scope=&token&resource=a&resource=&resource=b&grant_type=x"), "resource"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scope", "token", "absent"} {
		if got := f.get(name); got != nil {
			t.Errorf("get(%q) = %q, want nil", name, got)
		}
	}
	if got := string(f.get("grant_type")); got != "x" {
		t.Errorf("get(grant_type) = %q, want x", got)
	}
	var got []string
	f.all("resource", func(value []byte) { got = append(got, string(value)) })
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("all(resource) = %q, want a and b", got)
	}
}

func TestFormWipeLeavesNoSecret(t *testing.T) {
	var f form
	for _, body := range []string{"client_secret=s3cret", "client_secret=s3cret&x=%zz", "x=y&client_secret=s3cret%zz"} {
		_ = f.parse([]byte(body)) // the secret is decoded whether or not the rest is good
		f.wipe()
		if all := f.buf[:cap(f.buf)]; bytes.Contains(all, []byte("s3")) {
			t.Errorf("%q: the buffer still holds %q", body, all)
		}
		if f.get("client_secret") != nil {
			t.Errorf("%q: the secret is still found", body)
		}
	}
}

func TestFormErrorsMayBeDescriptions(t *testing.T) { // RFC 6749 §5.2
	var f form
	for _, err := range []error{
		errFormType, errFormEncoding, errFormText, errFormRepeated, errFormTooMany,
		errBasicAbsent, errBasicScheme, errBasicMalformed, errLinesTooMany, new(tokenLines).parse([]byte("x")), f.parse([]byte("%")),
	} {
		for _, b := range []byte(err.Error()) {
			if b < 0x20 || b > 0x7e || b == '"' || b == '\\' {
				t.Errorf("%q has %q", err, b)
			}
		}
	}
}

func TestFormContentType(t *testing.T) {
	f := func(contentType string, want bool) {
		t.Helper()
		if got := isForm([]byte(contentType)); got != want {
			t.Errorf("%q: got %v, want %v", contentType, got, want)
		}
	}
	f("application/x-www-form-urlencoded", true)
	f("Application/X-WWW-Form-Urlencoded", true)
	f("application/x-www-form-urlencoded;charset=utf-8", true)
	f("application/x-www-form-urlencoded ; charset=UTF-8", true)
	f(`application/x-www-form-urlencoded; charset="utf-8"`, true)
	f("", false)
	f("application/json", false)
	f("application/x-www-form-urlencoded;", false)
	f("application/x-www-form-urlencodedx", false)
	f("application/x-www-form-urlencoded; charset=iso-8859-1", false)
	f("application/x-www-form-urlencoded; charset=utf-8; x=y", false)
	f("application/x-www-form-urlencoded, application/json", false)
	f("multipart/form-data; boundary=application/x-www-form-urlencoded", false)
}

func TestQueryMayHoldNoBodyParameter(t *testing.T) { // RFC 6749 §2.3.1
	f := func(query string, want bool) {
		t.Helper()
		if got := queryHasParameter([]byte(query)); got != want {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
	f("client_secret=x", true)
	f("a=b&token=x", true)
	f("a=b&&client_id", true)
	f("client%5Fsecret=x", true)
	f("%63%6c%69%65%6e%74%5f%61%73%73%65%72%74%69%6f%6e%5f%74%79%70%65=x", true)
	f("%zz=1&scope=x", true)
	f(strings.Repeat("a", 200)+"&username=x", true)
	f("", false)
	f("trace=1&debug", false)
	f("x=client_secret", false)
	f("xclient_secret=1&client_secretx=1", false)
	f("client_secret%zz=1", false)
	f(strings.Repeat("%61", 40), false)
}

// FuzzForm wants every accepted body to mean what net/url reads, and every
// body that net/url writes of good text to be accepted.
func FuzzForm(f *testing.F) {
	f.Add([]byte("grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Fa&resource=b"))
	f.Add([]byte("a=%C3%A4&&b&=c&d=%2"))
	f.Add([]byte("a=b&%61=c"))
	f.Fuzz(func(t *testing.T, body []byte) {
		input := bytes.Clone(body)
		var parsed form
		if err := parsed.parse(body, "resource"); err != nil {
			return
		}
		if !bytes.Equal(body, input) {
			t.Fatalf("the body was changed: %q, %q", input, body)
		}
		if bytes.IndexByte(body, ';') >= 0 {
			return // net/url refuses it, WHATWG's URL standard does not
		}
		want, err := url.ParseQuery(string(body))
		if err != nil {
			t.Fatalf("%q passes, net/url says %v", body, err)
		}
		got := url.Values{}
		for _, p := range parsed.pairs[:parsed.n] {
			if !isText(p.name) || !isText(p.value) {
				t.Fatalf("%q: %q=%q is no text", body, p.name, p.value)
			}
			got.Add(string(p.name), string(p.value))
		}
		if got.Encode() != want.Encode() {
			t.Fatalf("%q: got %q, net/url %q", body, got.Encode(), want.Encode())
		}
		var again form
		if err := again.parse([]byte(want.Encode()), "resource"); err != nil || again.n != parsed.n {
			t.Fatalf("%q, written again as %q: %v", body, want.Encode(), err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte("a=b&client%5Fsecret=x"))
	f.Fuzz(func(t *testing.T, query []byte) {
		got := queryHasParameter(query)
		want := false
		for pair := range bytes.SplitSeq(query, ampersand) {
			name, _, _ := bytes.Cut(pair, equals)
			text, err := url.QueryUnescape(string(name))
			want = want || err == nil && isBodyParameter([]byte(text))
		}
		if got != want {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	})
}

func BenchmarkForm(b *testing.B) {
	body := []byte("token=oat_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMn&token_type_hint=access_token")
	var f form
	b.ReportAllocs()
	for b.Loop() {
		if f.parse(body) != nil || len(f.get("token")) == 0 {
			b.Fatal("refused")
		}
		f.wipe()
	}
}
