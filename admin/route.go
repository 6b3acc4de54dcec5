package admin

import (
	"context"
	"net/http"
	"reflect"

	"oauth2-server/store"
)

// A route is one thing an operator can do. Its types are its description too: see openapi.go.
type route struct {
	method, path, summary string
	in                    *form        // how a request becomes an In
	out                   reflect.Type // what is answered as JSON; struct{}: nothing, 204
	serve                 func(s *Server, c *call, r *http.Request) (any, error)
}

// A call is one request of an operator who may make it.
type call struct {
	context.Context
	Actor  store.Actor // who, for the audit
	Match  int64       // the version that is to be changed, of If-Match or else the body's "version"; 0: any
	Exists bool        // If-Match is *: what is not there is not to be created
	Status int         // to be answered; 0: 200, or 204 where Out is struct{}
}

// on makes a route of act. In is a struct:
//
//	ID    store.ID `path:"id"`                                       of the path
//	Limit int64    `query:"limit" default:"50" min:"1" max:"1000"`   of the query; one that is unknown is refused
//	Mode  string   `json:"mode" enum:"off,shadow" required:"true"`   of the JSON body, which is read strictly
//
// A field may be a string, bool, integer, anything with UnmarshalText, and in the body whatever is made of those by
// structs (embedded ones too), slices, maps and pointers: nil where nothing was given. null is refused, except for a [patch].
// doc:"…" explains a field in the description. Out is written as JSON; its field Version is the ETag.
//
// act runs only for whom authorize lets pass, and only with input that is right as far as its types say.
func on[In, Out any](method, path, summary string, act func(s *Server, c *call, in *In) (Out, error)) route {
	in := newForm(path, reflect.TypeFor[In]())
	return route{
		method: method, path: path, summary: summary, in: in, out: reflect.TypeFor[Out](),
		serve: func(s *Server, c *call, r *http.Request) (any, error) {
			v := new(In)
			if err := in.read(r, reflect.ValueOf(v).Elem(), c); err != nil {
				return nil, err
			}
			return act(s, c, v)
		},
	}
}

// taking is the route with room for so many bytes of body.
func (r route) taking(most int) route {
	r.in.most = most
	return r
}

// matches refuses a change of a version other than the one that the operator has seen. kind is how actions of the audit
// begin: "client" of "client.update". Call it where old cannot change any more: inside the store's change.
func (c *call) matches(kind, id string, version int64) error {
	if c.Match == 0 || c.Match == version {
		return nil
	}
	return &staleVersion{kind: kind, id: id, version: version}
}

// unmatched makes a conflict, as of every If-Match that fails, of what is not there though If-Match: * demands it.
func (c *call) unmatched(err error) error {
	if p, _ := problemOf(err); c.Exists && p.Status == http.StatusNotFound {
		return refuse(http.StatusConflict, "%s, and If-Match: * demands that there is", p.Detail)
	}
	return err
}

// A patch is a field of the body that tells apart being left out, null and a value.
type patch[T any] struct {
	Given bool
	Value *T // nil: null
}
