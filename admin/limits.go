package admin

import (
	"errors"
	"net/http"
	"time"

	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// maxLimitBytes is room for a limit with all the overrides that it may have.
const maxLimitBytes = 1 << 20

func limitRoutes() []route {
	const one = "/admin/api/limits/{name}"
	return []route{
		on("GET", "/admin/api/limits", "All rate limits", listLimits),
		on("GET", one, "A rate limit", showLimit),
		on("PUT", one, "Create a rate limit, or replace it whole", putLimit).taking(maxLimitBytes),
		on("PATCH", one, "Change a part of a rate limit", patchLimit),
		on("DELETE", one, "Delete a rate limit", deleteLimit),
		on("PUT", one+"/overrides/{key}", "Let another value hold for one key; a slash in the key is written %2F", putOverride),
		on("DELETE", one+"/overrides/{key}", "Let the limit's own value hold for the key again", dropOverride),
		on("PUT", one+"/trial", "Evaluate a value beside the live one; it refuses nothing", putTrial),
		on("DELETE", one+"/trial", "End the trial", dropTrial),
		on("POST", one+"/promote", "Make the trial's value the live one, and end the trial", promoteLimit),
		on("POST", one+"/rollback", "Make the limit again what it was before the newest change, or at a version; a second time takes the rollback back", rollbackLimit),
		on("GET", one+"/history", "The changes of a rate limit, the newest first", limitHistory),
		on("GET", one+"/stats", "What all replicas counted in the last hour, and the busiest keys", limitStats),
	}
}

type limitList struct {
	Items []store.Limit `json:"items"`
}

// oneLimit is a request that only says which limit.
type oneLimit struct {
	Name string `path:"name"`
}

func (s *Server) limits() limits.Operations { return limits.Operations{Store: s.DB} }

func order(c *call, name string) limits.Order {
	return limits.Order{Actor: c.Actor, Name: name, Version: c.Match}
}

// changedLimit answers with what the limit is now.
func changedLimit(c *call, done limits.Change, err error) (store.Limit, error) {
	if stale, ok := errors.AsType[*limits.Stale](err); ok {
		p := refuse(http.StatusConflict, "%s", stale)
		p.Version = stale.Version
		if stale.Actor != "" {
			p.ChangedBy, p.ChangedAt = stale.Actor, &stale.At
		}
		return store.Limit{}, p
	}
	if err != nil {
		return store.Limit{}, err
	}
	if done.Before == nil {
		c.Status = http.StatusCreated
	}
	return *done.After, nil
}

func listLimits(s *Server, c *call, _ *struct{}) (limitList, error) {
	all, err := s.DB.Limits(c)
	return limitList{append([]store.Limit{}, all...)}, err
}

func showLimit(s *Server, c *call, in *oneLimit) (store.Limit, error) {
	return s.limits().Find(c, in.Name)
}

// A limitBody is a limit as GET shows it. What it says of created, updated, since, since_at and restored is not looked at.
type limitBody struct {
	Path string `path:"name"`
	store.Limit
}

// demand makes of If-Match: * the version that there is: who sends it creates nothing.
func (s *Server) demand(c *call, name string) error {
	if !c.Exists || c.Match != 0 {
		return nil
	}
	found, err := s.limits().Find(c, name)
	c.Match = found.Version
	return err
}

func putLimit(s *Server, c *call, in *limitBody) (store.Limit, error) {
	if err := s.demand(c, in.Path); err != nil {
		return store.Limit{}, err
	}
	done, err := s.limits().Put(c, order(c, in.Path), in.Limit)
	return changedLimit(c, done, err)
}

type limitPatch struct {
	Name     string             `path:"name"`
	Endpoint *string            `json:"endpoint"`
	Key      *string            `json:"key"`
	Mode     *string            `json:"mode" enum:"off,shadow,enforce,block"`
	Rate     *int64             `json:"rate"`
	Period   *store.Period      `json:"period"`
	Burst    *int64             `json:"burst"`
	Trial    patch[store.Quota] `json:"trial"`
	Guard    patch[store.Guard] `json:"guard"`
	Version  int64              `json:"version"`
}

func patchLimit(s *Server, c *call, in *limitPatch) (store.Limit, error) {
	done, err := s.limits().Patch(c, order(c, in.Name), limits.Patch{
		Endpoint: in.Endpoint, Key: in.Key, Mode: in.Mode, Rate: in.Rate, Period: in.Period, Burst: in.Burst,
		Trial: in.Trial.Value, EndTrial: in.Trial.Given, Guard: in.Guard.Value, EndGuard: in.Guard.Given,
	})
	return changedLimit(c, done, err)
}

func deleteLimit(s *Server, c *call, in *oneLimit) (struct{}, error) {
	done, err := s.limits().Delete(c, order(c, in.Name))
	if err != nil {
		_, err = changedLimit(c, done, err)
	}
	return struct{}{}, err
}

// anOverride is the path of an override.
type anOverride struct {
	Name string `path:"name"`
	Key  string `path:"key"`
}

type overrideBody struct {
	Name string `path:"name"`
	Path string `path:"key"`
	store.Override
	Version int64 `json:"version"`
}

func putOverride(s *Server, c *call, in *overrideBody) (store.Limit, error) {
	done, err := s.limits().SetOverride(c, order(c, in.Name), in.Path, in.Override)
	return changedLimit(c, done, err)
}

func dropOverride(s *Server, c *call, in *anOverride) (store.Limit, error) {
	done, err := s.limits().DropOverride(c, order(c, in.Name), in.Key)
	return changedLimit(c, done, err)
}

type trialBody struct {
	Name string `path:"name"`
	store.Quota
	Version int64 `json:"version"`
}

func putTrial(s *Server, c *call, in *trialBody) (store.Limit, error) {
	done, err := s.limits().SetTrial(c, order(c, in.Name), in.Quota)
	return changedLimit(c, done, err)
}

func dropTrial(s *Server, c *call, in *oneLimit) (store.Limit, error) {
	done, err := s.limits().DropTrial(c, order(c, in.Name))
	return changedLimit(c, done, err)
}

func promoteLimit(s *Server, c *call, in *oneLimit) (store.Limit, error) {
	done, err := s.limits().Promote(c, order(c, in.Name))
	return changedLimit(c, done, err)
}

// A rollbackBody names the version to go back to, and not the one that is to be changed: that is for If-Match alone.
type rollbackBody struct {
	Name string `path:"name"`
	To   *int64 `json:"version" min:"1" doc:"of the history; left out: the one before the newest change"`
}

func rollbackLimit(s *Server, c *call, in *rollbackBody) (store.Limit, error) {
	if err := s.demand(c, in.Name); err != nil {
		return store.Limit{}, err
	}
	var to int64
	if in.To != nil {
		to = *in.To
	}
	done, err := s.limits().Rollback(c, order(c, in.Name), to)
	return changedLimit(c, done, err)
}

type limitChanges struct {
	Items []limits.Version `json:"items"`
	Next  *int64           `json:"next" doc:"for before, to get the next page; null: this was the last"`
}

func limitHistory(s *Server, c *call, in *struct {
	Name   string `path:"name"`
	Before int64  `query:"before" min:"1" max:"9223372036854775807" doc:"next of the page before"`
	Limit  int64  `query:"limit" default:"50" min:"1" max:"1000" doc:"at most so many changes; a page has about 4 MiB at most"`
},
) (limitChanges, error) {
	h, err := s.limits().History(c, limits.HistoryQuery{Limit: in.Name, Before: in.Before, Most: int(in.Limit), Bytes: maxPageBytes})
	page := limitChanges{Items: h.Items}
	if h.Next != 0 {
		page.Next = &h.Next
	}
	return page, err
}

func limitStats(s *Server, c *call, in *struct {
	Name       string       `path:"name"`
	Resolution int64        `query:"resolution" default:"1" min:"1" max:"3600" doc:"seconds per point"`
	Last       store.Period `query:"last" default:"1h" doc:"how far back, 1s to 1h"`
},
) (limits.Stats, error) {
	if _, err := s.limits().Find(c, in.Name); err != nil {
		return limits.Stats{}, err
	}
	return limits.ReadStats(c, s.DB, limits.StatsQuery{
		Limit: in.Name, Resolution: in.Resolution, Last: time.Duration(in.Last), Now: time.Now(), Names: limits.NamesOf(s.DB),
	})
}
