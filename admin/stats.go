package admin

import (
	"strings"
	"time"

	"oauth2-server/store"
)

func statsRoutes() []route {
	return []route{
		on("GET", "/admin/api/stats", "Numbers for a dashboard: of the cluster, and of the replica that answers", showStats),
		on("GET", "/admin/api/replicas", "The running replicas, as they register themselves", listReplicas),
	}
}

type replicaList struct {
	Items []store.Replica `json:"items"`
}

func listReplicas(s *Server, c *call, _ *struct{}) (replicaList, error) {
	all, err := s.DB.Replicas(c)
	return replicaList{append([]store.Replica{}, all...)}, err
}

type stats struct {
	Clients  int64             `json:"clients"`
	Users    int64             `json:"users" doc:"at most 1000 are counted"`
	Tokens   int64             `json:"tokens" doc:"an estimate of the opaque tokens recorded; JWTs are not"`
	Denials  int64             `json:"denials" doc:"what was revoked by id and has not expired"`
	Cutoffs  int64             `json:"cutoffs"`
	Position store.Position    `json:"position" doc:"of the feed, applied by this replica"`
	Redis    string            `json:"redis" enum:"off,up,down" doc:"as this replica sees it"`
	Keys     []keyAge          `json:"keys"`
	Replicas []store.Replica   `json:"replicas"`
	Counters map[string]uint64 `json:"counters" doc:"of this replica since its start, named as in /metrics"`
}

// keyAge is a key that is not retired.
type keyAge struct {
	ID    store.ID `json:"id"`
	Use   string   `json:"use" enum:"sign,mac"`
	Alg   string   `json:"alg"`
	State string   `json:"state" enum:"next,active,retiring"`
	Age   int64    `json:"age_seconds" doc:"since it was made"`
}

// maxUsersCounted bounds the work of one call.
const maxUsersCounted = 1000

func showStats(s *Server, c *call, _ *struct{}) (stats, error) {
	users, err := s.DB.Users(c, "", maxUsersCounted)
	if err != nil {
		return stats{}, err
	}
	tokens, err := s.DB.CountTokens(c)
	if err != nil {
		return stats{}, err
	}
	replicas, err := listReplicas(s, c, nil)
	if err != nil {
		return stats{}, err
	}
	return stats{
		Users: int64(len(users)), Tokens: tokens, Replicas: replicas.Items,
		Clients: s.measured("oauth2_server_clients"), Denials: s.measured("oauth2_server_deny_set_size"), Cutoffs: s.measured("oauth2_server_cutoffs"),
		Position: s.Tier.Position(), Redis: s.Tier.Status().Redis, Keys: s.keyAges(time.Now()), Counters: s.counters(),
	}, nil
}

// measured is the value of a gauge that another part keeps.
func (s *Server) measured(gauge string) int64 {
	return int64(s.Metrics.GetOrCreateGauge(gauge, nil).Get())
}

// shownCounters is how those for a dashboard begin.
var shownCounters = []string{"oauth2_server_tokens_issued_total", "oauth2_server_introspections_total", "oauth2_server_tokens_revoked_total"}

func (s *Server) counters() map[string]uint64 {
	found := map[string]uint64{}
	for _, name := range s.Metrics.ListMetricNames() {
		for _, shown := range shownCounters {
			if strings.HasPrefix(name, shown) {
				found[name] = s.Metrics.GetOrCreateCounter(name).Get()
			}
		}
	}
	return found
}

func (s *Server) keyAges(now time.Time) []keyAge {
	ages := []keyAge{}
	for _, k := range s.Ring.List() {
		if k.State != store.KeyRetired {
			ages = append(ages, keyAge{k.ID, k.Use, k.Alg, k.State, max(int64(now.Sub(k.Created)/time.Second), 0)})
		}
	}
	return ages
}
