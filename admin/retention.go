package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"oauth2-server/store"
)

func retentionRoutes() []route {
	return []route{
		on("GET", "/admin/api/retention", "How long what is kept, how much there is of it, and what the last run removed", listKept),
		on("POST", "/admin/api/retention/run", "Remove what is past now; the servers do so every minute", runRetention),
		on("PATCH", "/admin/api/retention/{kind}", "Set how long a kind is kept", setKept),
	}
}

type keptList struct {
	Items []store.Kept `json:"items"`
}

func listKept(s *Server, c *call, _ *struct{}) (keptList, error) {
	all, err := s.DB.Kept(c)
	return keptList{append([]store.Kept{}, all...)}, err
}

type retentionRun struct {
	DryRun bool     `query:"dry_run" default:"false" doc:"remove nothing: due says what a run would remove"`
	Kinds  []string `json:"kinds" doc:"left out: all"`
}

// runRetention answers also where some kinds have faults: those that have none are done. It does not go into the audit, for it removes only
// what the next scheduled run would.
func runRetention(s *Server, c *call, in *retentionRun) (keptList, error) {
	for _, kind := range in.Kinds {
		if err := knownKind(kind, http.StatusBadRequest); err != nil {
			return keptList{}, err
		}
	}
	if in.DryRun {
		all, err := listKept(s, c, nil)
		if len(in.Kinds) > 0 {
			all.Items = slices.DeleteFunc(all.Items, func(k store.Kept) bool { return !slices.Contains(in.Kinds, k.Kind) })
		}
		return all, err
	}
	done, err := s.DB.Prune(c, in.Kinds...)
	if errors.Is(err, store.ErrConflict) {
		return keptList{}, refuse(http.StatusConflict, "another run is under way: what is past goes anyway; try again in a minute")
	}
	if len(done) > 0 {
		return keptList{done}, nil
	}
	return keptList{}, err
}

func knownKind(kind string, status int) error {
	var names []string
	for _, k := range store.KeptKinds {
		if k.Name == kind {
			return nil
		}
		names = append(names, k.Name)
	}
	return refuse(status, "there is no kind %.80q: it is one of %s", kind, strings.Join(names, ", "))
}

func setKept(s *Server, c *call, in *struct {
	Kind    string              `path:"kind"`
	Keep    patch[store.Period] `json:"keep" doc:"null: the default"`
	Version int64               `json:"version"`
},
) (store.Kept, error) {
	if err := knownKind(in.Kind, http.StatusNotFound); err != nil {
		return store.Kept{}, err
	}
	err := s.DB.SetKept(c, c.Actor, in.Kind, func(k *store.Kept) error {
		if err := c.matches("retention", in.Kind, k.Version); err != nil {
			return err
		}
		if in.Keep.Given {
			k.Own = in.Keep.Value != nil
		}
		if in.Keep.Value != nil {
			k.Keep = *in.Keep.Value
		}
		return nil
	})
	if err != nil {
		return store.Kept{}, err
	}
	all, err := s.DB.Kept(c)
	if i := slices.IndexFunc(all, func(k store.Kept) bool { return k.Kind == in.Kind }); i >= 0 {
		return all[i], nil
	}
	return store.Kept{}, err
}
