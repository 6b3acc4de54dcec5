// Package store holds the nouns of the server: what is remembered, by whom it
// was changed, and the four errors that may be branched on. It imports the
// standard library only; the databases that remember live below it.
//
//	a token record    written once, immutable, read through caches   record.go
//	a denial, cut-off what kills records before they expire           feed.go
//	a change          one numbered row of the feed every replica follows
//	a client, a key   small, held whole by every replica              client.go, key.go
//
// Both databases (store/postgres, store/sqlite) have the methods that
// storetest.Store lists, and pass storetest.Run. Their users declare the
// methods they need in interfaces of their own.
package store
