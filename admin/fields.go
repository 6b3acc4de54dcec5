package admin

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"oauth2-server/store"
)

// A field is one of a struct, as a request or an answer names it.
type field struct {
	name      string // in JSON, the query or the path
	index     []int  // for [reflect.Type.FieldByIndex]
	t         reflect.Type
	tag       reflect.StructTag
	omitted   bool // an answer leaves it out when it is zero
	embedding int  // how deep in embedded structs
}

// bodyFields is the fields of a struct in JSON, those of embedded structs among them, as encoding/json sees them: of
// two with one name the less deeply embedded counts.
func bodyFields(t reflect.Type) []field {
	all := appendFields(nil, t, nil, 0)
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		return slices.ContainsFunc(all, func(other field) bool { return other.name == f.name && other.embedding < f.embedding })
	})
}

func appendFields(all []field, t reflect.Type, index []int, embedding int) []field {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(slices.Clone(index), i)
		name, rest, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if inner := indirect(sf.Type); sf.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			all = appendFields(all, inner, at, embedding+1)
			continue
		}
		if name == "" || name == "-" || !sf.IsExported() {
			continue
		}
		all = append(all, field{name, at, sf.Type, sf.Tag, strings.HasPrefix(rest, "omit"), embedding})
	}
	return all
}

// tagged is the fields of a struct that the path or the query names.
func tagged(t reflect.Type, key string) (all []field) {
	for i := range t.NumField() {
		if sf := t.Field(i); sf.Tag.Get(key) != "" {
			all = append(all, field{name: sf.Tag.Get(key), index: []int{i}, t: sf.Type, tag: sf.Tag})
		}
	}
	return all
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// in is the field in a struct, with what is embedded by pointer on the way to it made.
func (f *field) in(v reflect.Value) reflect.Value {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

func (f *field) required() bool { return f.tag.Get("required") == "true" }

// bound is the number in a tag, if it has one.
func (f *field) bound(key string) (int64, bool) {
	text := f.tag.Get(key)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("BUG: %s of %s is no number", key, f.name))
	}
	return n, true
}

// enum is the values that a field may have; nil: all.
func (f *field) enum() []string {
	if text := f.tag.Get("enum"); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// check says what the tags have against a value that was given; nil when nothing.
func (f *field) check(path string, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if enum := f.enum(); v.Kind() == reflect.String && enum != nil && !slices.Contains(enum, v.String()) {
		return &store.FieldError{Field: path, Problem: "must be one of " + strings.Join(enum, ", ")}
	}
	if !v.CanInt() {
		return nil
	}
	low, hasLow := f.bound("min")
	high, hasHigh := f.bound("max")
	switch {
	case hasLow && !hasHigh && v.Int() < low:
		return &store.FieldError{Field: path, Problem: fmt.Sprintf("must be %d or more", low)}
	case hasLow && v.Int() < low, hasHigh && v.Int() > high:
		return &store.FieldError{Field: path, Problem: fmt.Sprintf("must be %s to %s", f.tag.Get("min"), f.tag.Get("max"))}
	}
	return nil
}
