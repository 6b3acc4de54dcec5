// Package private starts Postgres and Redis processes that belong to the
// caller alone, for tests and benchmarks on Linux. Nothing need be running
// before, nothing is left after: a server listens on a free port of 127.0.0.1,
// keeps its data in a temporary folder, and dies with the process that started it.
//
//	postgres.go   Postgres: URL, NewDatabase
//	redis.go      Redis: URL, Addr
//	program.go    Program: any other program that serves
//	server.go     what all can suffer: Stop, Continue, Kill, Restart, Close
//	proxy.go      Proxy: a network in between that delays, blocks and cuts
//	link.go       one connection through it
//	testing.go    for tests: Main, TestPostgres, TestDatabase, TestRedis
//	limit.go      FillDisk, FreeDisk: Postgres on a disk that is full
//	tree.go       a process and all that descend from it, read from /proc
//	port.go       free ports that nobody else is handed
package private
