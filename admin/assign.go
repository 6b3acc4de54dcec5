package admin

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patched is a [patch] of whatever type.
type patched interface {
	give(null bool) reflect.Value // where the value goes, which is none for null
	of() reflect.Type
}

func (p *patch[T]) give(null bool) reflect.Value {
	p.Given = true
	if null {
		return reflect.Value{}
	}
	p.Value = new(T)
	return reflect.ValueOf(p.Value).Elem()
}

func (*patch[T]) of() reflect.Type { return reflect.TypeFor[T]() }

// object fills the fields of a struct with the members of an object, and reports whether nothing is wrong with them.
func (d *reader) object(path string, fields []field, v reflect.Value, members map[string]any) {
	for _, name := range sortedKeys(members) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			d.refuse(member(path, name), "is not known")
			continue
		}
		f, at := &fields[i], member(path, name)
		if d.value(at, f.in(v), members[name]) {
			d.check(f, at, f.in(v))
		}
	}
	for i := range fields {
		if _, given := members[fields[i].name]; !given && fields[i].required() {
			d.refuse(member(path, fields[i].name), "is missing")
		}
	}
}

// value fills v with a parsed value, and reports whether it could.
func (d *reader) value(path string, v reflect.Value, parsed any) bool {
	if p, ok := v.Addr().Interface().(patched); ok {
		v = p.give(parsed == nil)
		return parsed == nil || d.value(path, v, parsed)
	}
	if parsed == nil {
		d.refuse(path, "must not be null")
		return false
	}
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, ok := parsed.(string)
		return d.want(path, ok, "a string") && d.text(path, v, text)
	}
	if raw, ok := v.Addr().Interface().(*json.RawMessage); ok {
		text, err := json.Marshal(parsed)
		*raw = text
		return d.want(path, err == nil, "JSON")
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(path, v.Elem(), parsed)
	case reflect.Struct:
		members, ok := parsed.(map[string]any)
		if d.want(path, ok, "an object") {
			d.object(path, bodyFields(v.Type()), v, members)
		}
		return ok
	case reflect.Map:
		members, ok := parsed.(map[string]any)
		return d.want(path, ok, "an object") && d.mapping(path, v, members)
	case reflect.Slice:
		list, ok := parsed.([]any)
		return d.want(path, ok, "a list") && d.list(path, v, list)
	case reflect.Bool:
		yes, ok := parsed.(bool)
		v.SetBool(yes)
		return d.want(path, ok, "true or false")
	case reflect.String:
		text, ok := parsed.(string)
		v.SetString(text)
		return d.want(path, ok, "a string")
	default:
		number, ok := parsed.(json.Number)
		return d.want(path, ok, "a whole number") && d.text(path, v, number.String())
	}
}

// want refuses what is of another type.
func (d *reader) want(path string, ok bool, what string) bool {
	if !ok {
		d.refuse(path, "must be %s", what)
	}
	return ok
}

func (d *reader) mapping(path string, v reflect.Value, members map[string]any) bool {
	v.Set(reflect.MakeMap(v.Type()))
	for _, name := range sortedKeys(members) {
		value := reflect.New(v.Type().Elem()).Elem()
		if d.value(member(path, name), value, members[name]) {
			v.SetMapIndex(reflect.ValueOf(name), value)
		}
	}
	return true
}

func (d *reader) list(path string, v reflect.Value, list []any) bool {
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i := range list {
		d.value(element(path, i), v.Index(i), list[i])
	}
	return true
}

// text fills v with what a path, a query, a number or a string says, and reports whether it could.
func (d *reader) text(path string, v reflect.Value, text string) bool {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(text))
		if _, isTime := u.(*time.Time); isTime && err != nil {
			return d.want(path, false, "a time like 2006-01-02T15:04:05Z")
		}
		if err != nil {
			d.refuse(path, "%s", strings.TrimPrefix(err.Error(), "id "))
		}
		return err == nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return true
	case reflect.Bool:
		yes, err := strconv.ParseBool(text)
		v.SetBool(yes)
		return d.want(path, err == nil && len(text) > 1, "true or false")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return d.want(path, err == nil, "a whole number")
	}
	panic("BUG: " + path + " is of a type that no request can fill: " + v.Type().String())
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
