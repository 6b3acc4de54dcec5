package store

// A Census is what a database holds, counted row by row, for who checks a backup or a restore. It reads everything: for
// operators, not for a server at work.
type Census struct {
	Rows     map[string]int64 // by table; a partition of tokens is a table of its own, attached or not
	Position Position         // of the newest change in the feed; 0: the feed is empty
}
