// Package target knows how to ask an OAuth server: for tokens (RFC 6749), what they are (RFC 7662), and to revoke them
// (RFC 7009). Requests under load are built beforehand, as [load.Shot]s.
//
//	target.go     Target, its replicas and paths
//	discover.go   Discover: paths from the metadata document (RFC 8414), credentials proved
//	metadata.go   that document
//	shot.go       the requests
//	person.go     people: signing in, authorization codes, refreshing
//	direct.go     the same requests, sent at once and one by one
package target
