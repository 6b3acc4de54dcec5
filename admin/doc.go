// Package admin answers what an operator may do: the listener apart from the
// public one, on net/http. It may import hotpath and everything below it;
// nothing but cmd imports it. It is not built yet: until then the command line
// does its work on the store directly.
package admin
