package admin

import (
	"encoding"
	"encoding/json"
	"reflect"
	"time"

	"oauth2-server/store"
)

// A schema is JSON Schema as OpenAPI 3.0 has it.
type schema map[string]any

// schemas makes them of types, and gathers those of structs by name.
type schemas map[string]schema

// A direction is whether a type is read or written: what may be left out differs.
type direction string

const (
	written direction = ""      // an answer: what is not omitted is there
	read    direction = "Input" // a request: what is required must be there
)

var (
	textType  = reflect.TypeFor[encoding.TextUnmarshaler]()
	patchType = reflect.TypeFor[patched]()
)

// of is the schema of a type as encoding/json writes it, and assign.go reads it.
func (all schemas) of(t reflect.Type, d direction) schema {
	pointer := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Pointer:
		return all.of(t.Elem(), d)
	case pointer.Implements(patchType):
		inner := all.of(reflect.New(t).Interface().(patched).of(), d)
		return nullable(inner, true)
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[store.ID]():
		return schema{"type": "string", "format": "uuid"}
	case t == reflect.TypeFor[store.Period]():
		return schema{"type": "string", "example": "1m", "description": "a duration like 1s, 15m or 24h"}
	case pointer.Implements(textType):
		return schema{"type": "string"}
	case t == reflect.TypeFor[json.RawMessage]():
		return schema{}
	}
	return all.plain(t, d)
}

func (all schemas) plain(t reflect.Type, d direction) schema {
	switch t.Kind() {
	case reflect.Struct:
		return all.ref(t, d)
	case reflect.Slice:
		return schema{"type": "array", "items": all.of(t.Elem(), d)}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": all.of(t.Elem(), d)}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer", "format": "int64"}
	case reflect.Uint8, reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}
	case reflect.Interface:
		return schema{}
	}
	panic("BUG: a type that has no schema: " + t.String())
}

// ref is the schema of a struct by reference; one without a name is spelled out.
func (all schemas) ref(t reflect.Type, d direction) schema {
	if t.Name() == "" {
		return all.object(bodyFields(t), d)
	}
	name := t.Name() + string(d)
	if _, known := all[name]; !known {
		all[name] = nil // it may contain itself
		all[name] = all.object(bodyFields(t), d)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// object is the schema of a struct: nothing beside its fields is taken or told.
func (all schemas) object(fields []field, d direction) schema {
	properties, required := schema{}, []string{}
	for i := range fields {
		f := &fields[i]
		properties[f.name] = f.describe(nullable(all.of(f.t, d), d == written && !f.omitted && f.t.Kind() == reflect.Pointer))
		if d == written && !f.omitted || d == read && f.required() {
			required = append(required, f.name)
		}
	}
	object := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// nullable lets a value be null, if it may. Beside a reference nothing counts, so that goes one deeper.
func nullable(s schema, may bool) schema {
	if _, isRef := s["$ref"]; isRef && may {
		s = schema{"allOf": []schema{s}}
	}
	if may {
		s["nullable"] = true
	}
	return s
}

// describe adds what the tags say.
func (f *field) describe(s schema) schema {
	doc := f.tag.Get("doc")
	if _, isRef := s["$ref"]; isRef && doc != "" {
		s = schema{"allOf": []schema{s}} // beside $ref nothing counts
	}
	if doc != "" {
		s["description"] = doc
	}
	one := s
	if items, isList := s["items"].(schema); isList {
		one = items // the tags are about each
	}
	if enum := f.enum(); enum != nil {
		one["enum"] = enum
	}
	if low, ok := f.bound("min"); ok {
		s["minimum"] = low
	}
	if high, ok := f.bound("max"); ok {
		s["maximum"] = high
	}
	if given := f.tag.Get("default"); given != "" {
		s["default"] = json.RawMessage(given)
		switch s["type"] {
		case "string":
			s["default"] = given
		case "array":
			s["default"] = []string{given}
		}
	}
	return s
}
