// Package limits is the rate limiter: rules as data, counts in Redis, and the knowledge of who pays.
//
//	Spend ─► the rules of (endpoint, stage), the narrowest first     limiter.go, rule.go
//	      ─► of each the key, and what is held of it                 key.go, table.go
//	      ─► decided here: a lease, or full when last heard of       count.go
//	      ─► else a trip for a lease, or for just what is asked      redis.go, take.lua
//	      ─► no Redis: a bucket of limit / live replicas             count.go
//	Run   ─► what was counted, to the store, every other second      minute.go
//	      ─► changes that refused too many new keys, taken back      guard.go
//
// A bucket is a level that leaks at the limit's rate (quota.go). What is kept is how full it is and when, never the limit: so
// a raised limit frees at once those it should free, and a lowered one frees no one.
package limits
