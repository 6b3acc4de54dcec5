// Package stack is a whole installation on this machine, for measuring it and for doing it harm: a private Postgres and
// Redis, and replicas of the server's binary. All are processes of their own that end with
// [Stack.Close], and with this process however it ends.
//
//	stack.go    Start, Close, and the parts
//	prepare.go  the schema, the clients and a user, made by the server's own command line
//	replica.go  one replica: kill, terminate, restart
//	facts.go    what was started: versions and settings
//	usage.go    what the parts take of the machine
package stack
