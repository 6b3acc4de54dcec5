// Package postgres is the store on PostgreSQL. [DB] has the methods that
// storetest.Store lists.
//
//	InsertTokens        pool batch     tokens.go     one statement a batch
//	FindTokens          pool read      tokens.go     one query, one partition a key
//	Poll, Load          pool feed      feed.go       the feed, and the whole state
//	Deny, CutOff, …     pool security  mutate.go ─►  row work, then the lock, the number, the change, commit
//	                                   denials.go, clients.go, keys.go, limits.go, users.go, replicas.go
//	Audits, User, …     pool read      people.go     what people look at, a page at a time
//	Maintain, Prune     own connection maintain.go, partitions.go, retention.go
//	Migrate             own connection migrate.go
//	Inspect, Reach      own connection inspect.go, inspectwork.go, inspectsizes.go, reach.go
//
// The pools are apart so that no load on one delays another: the feed is what
// keeps answers exact, and a revocation must pass when issuing is at its limit.
// Every wait ends with the caller's deadline, also when the server is stopped
// or the network swallows packets; statement_timeout only tidies up behind it.
package postgres
