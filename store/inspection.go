package store

import "time"

// An Inspection is how a database is, as its doctor sees it. What the database's user may not see is empty, and Unseen says so.
type Inspection struct {
	Kind    string // "postgres" or "sqlite"
	Version string
	Now     time.Time
	Ping    time.Duration     // of the simplest question, there and back
	Skew    time.Duration     // the database's clock less this machine's, to within half of Ping
	Unseen  map[string]string // by part, why it could not be seen

	Schema   Schema
	Settings map[string]string // those that matter, in the words of the database
	Tables   []Table           // the largest first; partitions are one table
	Sizes    []Size            // of the last days, the oldest first, for growth
	Bytes    int64             // of the whole database
	Disk     Disk

	// Of Postgres alone.
	Connections  Connections
	Waits        []LockWait
	Locks        []Lock        // that keep others out of our tables, and are not new; the longest held first
	Transactions []Transaction // open for longer than OldTransaction, or prepared; the oldest first
	Standbys     []Standby
	Slots        []Slot
	Partitions   []Partition // of tokens, by day
	FrozenAge    int64       // transactions since the oldest that is not frozen; 2,147,483,648 can be told apart
	Counters     Counters

	File *File // of SQLite alone
}

// OldTransaction is from when on a transaction is listed: none of ours takes as long.
const OldTransaction = 30 * time.Second

// A Schema is how the steps of the schema stand against those of this binary.
type Schema struct {
	Applied int      // highest version in the database; 0: none
	Known   int      // highest version of this binary
	Pending []string // scripts that are to be applied
	Newer   []string // scripts that a newer binary applied
	Refusal string   // why the history cannot be continued: a step failed or was changed
}

// A Table is how large a table is.
type Table struct {
	Name     string
	Bytes    int64     // without indexes
	Indexes  int64     // bytes
	Rows     int64     // an estimate
	Dead     int64     // rows that wait to be vacuumed; an estimate
	Vacuumed time.Time // last; zero: never
}

// A Size is how large a table was, with its indexes; the name "database" is all of it.
type Size struct {
	Name  string
	At    time.Time
	Bytes int64
}

// SizeOfDatabase is the name of the [Size] of all.
const SizeOfDatabase = "database"

// A Disk is where the database lies, if that is this machine.
type Disk struct {
	Bytes int64 // 0: not known
	Free  int64 // for others than root
}

// Connections is how many there are to the server, and how many it takes.
type Connections struct {
	Used     int
	Max      int            // max_connections
	Reserved int            // of them, for others than us
	Idle     int            // of Used, those that do nothing
	By       map[string]int // by application
	Places   int            // that one process like this one takes at most
}

// A LockWait is one backend that waits for a lock that another holds.
type LockWait struct {
	PID         int
	Application string
	Waited      time.Duration
	Holder      int // pid; 0: a prepared transaction
	HolderApp   string
	HolderState string        // "active", "idle in transaction", …
	Held        time.Duration // age of the holder's transaction
	HolderVerb  string        // first word of the statement that the holder runs, or ran last
}

// A Lock on a table of ours keeps its writers out, or everybody.
type Lock struct {
	PID         int
	Application string
	State       string        // "active", "idle in transaction", …; empty: hidden from us
	Table       string        // one of them
	Mode        string        // "AccessExclusiveLock", …
	Held        time.Duration // age of the transaction; 0: hidden from us
	Verb        string        // first word of the statement that it runs, or ran last
}

// A Transaction is one that has been open for long.
type Transaction struct {
	PID         int    // 0: it is prepared
	Name        string // application, or the name of a prepared one
	State       string // "active", "idle in transaction", "idle in transaction (aborted)", "prepared"
	Age         time.Duration
	StateFor    time.Duration // how long it has been in State
	Maintenance bool          // an autovacuum
}

// A Standby follows the server.
type Standby struct {
	Name  string
	State string // "streaming", "catchup", …
	Sync  string // "sync", "quorum", "potential", "async"
	Bytes int64  // of the log that it has not replayed
	Lag   time.Duration
}

// A Slot keeps the log for who reads it.
type Slot struct {
	Name   string
	Active bool
	Bytes  int64  // of the log that is kept for it
	Status string // "reserved", "extended", "unreserved", "lost"
}

// A Partition holds the tokens that expire on one UTC day.
type Partition struct {
	Name     string
	Start    time.Time
	Attached bool
}

// Counters are what Postgres counted since a time.
type Counters struct {
	Since     time.Time // of Deadlocks and TempBytes; zero: not known
	Deadlocks int64
	TempBytes int64     // written because work_mem was too small
	LogSince  time.Time // of the checkpoints
	Timed     int64     // checkpoints at their time
	Requested int64     // checkpoints before their time: max_wal_size was reached
}

// A File is SQLite's.
type File struct {
	Path     string
	Bytes    int64
	WAL      int64 // bytes of the log beside it
	PageSize int64 // bytes
	Pages    int64
	Free     int64  // pages without content: they are used again before the file grows
	Check    string // "ok", or what quick_check found first; empty: the file is too large to be read in passing
}

// A Reach is how far one server can be reached: name, tcp, tls, authentication, and so on.
type Reach struct {
	Host string // host:port, or the path of a socket
	Step string // that failed; empty: none did
	Text string // why; never a secret
}

// Steps of a way: what a [Reach] and a [Fault] name, /ready, the doctor and the runbook alike. Not every way has all.
const (
	StepName           = "name"           // the host's name is resolved
	StepTCP            = "tcp"            // it accepts a connection
	StepTLS            = "tls"            // it proves who it is
	StepAuthentication = "authentication" // it takes our user and password
	StepConnections    = "connections"    // it has a connection to spare
	StepDatabase       = "database"       // it has the database that the URL names
	StepPrimary        = "primary"        // it takes writes
	StepSchema         = "schema"         // our tables are there, and new enough
	StepQuery          = "query"          // it answers, in time and as it should
	StepFile           = "file"           // SQLite's file can be opened: all of its way
)

// Steps is all of them, in order.
var Steps = [...]string{
	StepFile, StepName, StepTCP, StepTLS, StepAuthentication, StepConnections, StepDatabase, StepPrimary, StepSchema, StepQuery,
}
