package limits

import (
	"slices"
	"strings"
	"time"

	"oauth2-server/store"
)

// blockRetry is what a blocked request is told: there is no time at which it will pass.
const blockRetry = time.Minute

// A value is what holds for a key: a rule's own, an override's, or a trial's. It never changes.
type value struct {
	policy Policy
	quota  quota
	leases bool
	exempt bool
	block  bool
}

func newValue(name string, q store.Quota) *value {
	v := &value{policy: newPolicy(name, q), quota: newQuota(q)}
	v.leases = v.quota.perSecond() > leaseRate
	return v
}

// A rule is a limit as it is applied. It never changes: a change makes another one with the same account.
type rule struct {
	limit     store.Limit
	enforced  bool
	hidden    bool // names of keys are known as hashes only: store.Invented
	own       *value
	trial     *value            // nil: none
	overrides map[string]*value // by key, as requests are counted by it
	table     *table
	meters    *ruleMeters // of its mode
	account   *account
}

// An account is what stays of a limit when it is changed: its keys and what was counted.
type account struct {
	redisKey      string // what its keys in Redis begin with
	redisTrialKey string
	newest        *table                 // of the newest rule; under the limiter's lock
	meters        map[string]*ruleMeters // by mode
	sampled       [numDecisions]uint64   // what of it is in the minutes; of the sampler alone
	refusals      refusals
	rule          *rule // the newest; of Apply alone
}

// newRule makes the next rule of an account. Values that are the same stay the same, with the leases of their keys.
func newRule(l store.Limit, a *account) *rule {
	r := &rule{
		limit: l, account: a, table: a.newest, hidden: store.Invented(l.Endpoint),
		enforced: l.Mode == store.LimitEnforce || l.Mode == store.LimitBlock,
	}
	old := a.rule
	if old == nil {
		old = &rule{own: new(value)}
	}
	r.own = old.own.next(l.Name, l.Quota)
	if l.Trial != nil {
		r.trial = old.trial.next(l.Name, *l.Trial)
	}
	if len(l.Overrides) > 0 {
		r.overrides = make(map[string]*value, len(l.Overrides))
	}
	for key, o := range l.Overrides {
		key = r.counted(key)
		if o.Quota != nil {
			r.overrides[key] = old.overrides[key].next(l.Name, *o.Quota)
			continue
		}
		v := *r.own // of what is told; it is not counted by it
		v.exempt, v.block = o.Mode == store.OverrideExempt, o.Mode == store.OverrideBlock
		r.overrides[key] = &v
	}
	return r
}

// next is v if it says the same.
func (v *value) next(name string, q store.Quota) *value {
	if v != nil && v.policy.Quota == q && !v.exempt && !v.block {
		return v
	}
	return newValue(name, q)
}

// stage is when the rule's key is known.
func (r *rule) stage() Stage {
	if r.limit.Key == store.LimitByIP || r.limit.Key == store.LimitByNobody {
		return ByAddress
	}
	return ByName
}

// A plan is the rules of each endpoint and stage, in the order in which they are spent.
type plan [NumEndpoints][numStages][]*rule

// narrowness orders rules: who is refused by the narrowest spends nothing of what others share.
var narrowness = []string{store.LimitByClientIP, store.LimitByUsername, store.LimitByClient, store.LimitByIP, store.LimitByNobody}

func newPlan(rules []*rule) *plan {
	p := new(plan)
	for _, r := range rules {
		e := slices.Index(endpointNames[:], r.limit.Endpoint)
		if e < 0 || r.limit.Mode == store.LimitOff {
			continue // an endpoint that a newer release knows
		}
		list := &p[e][r.stage()]
		*list = append(*list, r)
	}
	for e := range p {
		for s := range p[e] {
			slices.SortStableFunc(p[e][s], func(a, b *rule) int {
				if n := slices.Index(narrowness, a.limit.Key) - slices.Index(narrowness, b.limit.Key); n != 0 {
					return n
				}
				return strings.Compare(a.limit.Name, b.limit.Name)
			})
		}
	}
	return p
}
