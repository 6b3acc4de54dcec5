// Package doctor looks at everything that an operator would look at, and says what is wrong, why, and what mends it.
//
//	Gather ─► Facts ─► Judge ─► Report
//	 all I/O            none
//
// It needs no server: the command works on the store, on Redis and on what replicas have said of themselves. GET /admin/api/doctor does the same.
package doctor

import (
	"strings"
	"time"

	"oauth2-server/cache"
	"oauth2-server/cache/limits"
	"oauth2-server/store"
)

// Facts is what was seen. A part that could not be looked at is nil or empty, and its fault says why: that is a fact as well.
type Facts struct {
	Now    time.Time         // of the store; of this machine where the store does not answer
	Local  time.Time         // of this machine, at the same moment
	Unseen map[string]string // parts of the facts that could not be looked at, and why

	Database      *store.Inspection
	DatabaseFault *Fault        // why it could not be inspected
	DatabaseWay   []store.Reach // to each host of the database; empty: it is a file
	Capacity      int64         // bytes that the database may take, by OAUTH2_DATABASE_CAPACITY; 0: not told
	Redis         *cache.Inspection
	RedisFault    *Fault        // of the way to Redis
	RedisWay      []store.Reach // to each server of Redis
	RedisURL      bool          // one is configured

	Replicas []store.Replica // alive and gone of the last week, the newest start first
	Keys     []store.Key
	Limits   []LimitFacts
	Kept     []store.Kept
	Cutoffs  []store.Cutoff
	Minting  *Minting // nil: not known
	Admins   *int     // users that can sign in as operators; nil: not known
	Public   *Public  // what the server answers under its public URL; nil: there is none to ask

	Configured Configured
	Platform   string // what runs who asks
}

// Minting is the newest tokens that the database holds.
type Minting struct {
	By     map[string]int // by client
	Total  int
	Oldest time.Time // of them
	Newest time.Time
}

// Configured is how this program was set up: the same as the servers, or its findings are of no use.
type Configured struct {
	Issuer  string   // "": each replica derives it from its address
	Alg     string   // of access tokens that are JWTs
	Secrets []string // fingerprints of OAUTH2_JWT_SECRET as seals of keys have them, the sealing one first; none: not given here
}

// LimitFacts is a limit, and what all replicas counted for it.
type LimitFacts struct {
	store.Limit
	Stats limits.Stats // of the last ten minutes
}

// A Fault is the step of a way that failed.
type Fault struct {
	Step string // one of store.Steps; of the public URL also "http"
	Text string // without secrets
}

func (f *Fault) String() string { return f.Step + ": " + f.Text }

// Public is what is seen from outside.
type Public struct {
	URL      string
	Fault    *Fault
	Issuer   string    // of the metadata
	Keys     []string  // ids of the published keys
	TLSUntil time.Time // end of its certificate; zero: it speaks no TLS
}

// alive are the replicas that run: they have registered lately and have not ended.
func (f *Facts) alive() []store.Replica {
	var found []store.Replica
	for _, r := range f.Replicas {
		if r.Vitals.Ended.IsZero() && f.Now.Sub(r.Seen) < store.Alive {
			found = append(found, r)
		}
	}
	return found
}

// Running is how many replicas run.
func (f *Facts) Running() int { return len(f.alive()) }

// each makes findings of the replicas that run.
func (f *Facts) each(look func(r *store.Replica) *Finding) []Finding {
	var found []Finding
	alive := f.alive()
	for i := range alive {
		if one := look(&alive[i]); one != nil {
			found = append(found, *one)
		}
	}
	return found
}

// place names a replica for people: what runs again after a restart is in the same place.
func place(r *store.Replica) string {
	if r.Vitals.Host == "" {
		return r.Public
	}
	return r.Vitals.Host + " (" + r.Public + ")"
}

func places(all []store.Replica) string {
	var names []string
	for i := range all {
		names = append(names, place(&all[i]))
	}
	return strings.Join(names, ", ")
}
