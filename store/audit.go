package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// AuditClient is the audit row of a client that was created (before is nil),
// changed, or deleted (after is nil). The hashes of its secrets are left out.
func AuditClient(at time.Time, actor Actor, action string, before, after *Client) Audit {
	row := Audit{At: at, Actor: actor.String(), Action: action}
	if before != nil {
		row.Object, row.Before = before.ID, mustJSON(before.Masked())
	}
	if after != nil {
		row.Object, row.After = after.ID, mustJSON(after.Masked())
	}
	return row
}

// AuditKeys is the audit row of a change of the ring. Its object is the id of
// the key when it is about one key, else "ring". The sealed parts are left out.
func AuditKeys(at time.Time, actor Actor, action string, before, after []Key) Audit {
	row := Audit{At: at, Actor: actor.String(), Action: action, Object: "ring"}
	if len(before) == 1 && len(after) == 1 && before[0].ID == after[0].ID {
		row.Object = after[0].ID.String()
	}
	row.Before, row.After = maskedKeys(before), maskedKeys(after)
	return row
}

// AuditLimit is the audit row of a limit that was created (before is nil),
// changed, or deleted (after is nil). Its object is "limit" and the name.
func AuditLimit(at time.Time, actor Actor, action string, before, after *Limit) Audit {
	row := Audit{At: at, Actor: actor.String(), Action: action}
	if before != nil {
		row.Object, row.Before = "limit "+before.Name, mustJSON(before)
	}
	if after != nil {
		row.Object, row.After = "limit "+after.Name, mustJSON(after)
	}
	return row
}

// AuditUser is AuditLimit for a user, by id. What belongs to the password is left out.
func AuditUser(at time.Time, actor Actor, action string, before, after *User) Audit {
	row := Audit{At: at, Actor: actor.String(), Action: action}
	if before != nil {
		row.Object, row.Before = "user "+before.ID.String(), mustJSON(before.Masked())
	}
	if after != nil {
		row.Object, row.After = "user "+after.ID.String(), mustJSON(after.Masked())
	}
	return row
}

// AuditCutoff is the audit row of a cut-off that has its number.
func AuditCutoff(at time.Time, actor Actor, cutoff Cutoff) Audit {
	object := string(cutoff.Kind)
	if cutoff.Name != "" {
		object += " " + cutoff.Name
	}
	return Audit{At: at, Actor: actor.String(), Action: "cutoff", Object: object, After: mustJSON(cutoff)}
}

// AuditDenials are the audit rows of new denials. A client that ends a token of
// its own (RFC 7009) is traffic and not administration: it gets no row here,
// and the denial itself keeps its name as long as it lasts.
func AuditDenials(at time.Time, denials []Denial) []Audit {
	var rows []Audit
	for _, d := range denials {
		if strings.HasPrefix(d.Actor, "client:") {
			continue
		}
		object := d.Kind.String() + " " + d.ID.String()
		rows = append(rows, Audit{At: at, Actor: d.Actor, Action: "deny", Object: object, After: mustJSON(d)})
	}
	return rows
}

// AuditRewrite is the audit row of writing back what a lost history knew.
func AuditRewrite(at time.Time, actor Actor, last Position, denials, cutoffs int) Audit {
	after := map[string]int64{"last": int64(last), "denials": int64(denials), "cutoffs": int64(cutoffs)}
	return Audit{At: at, Actor: actor.String(), Action: "rewrite", Object: "feed", After: mustJSON(after)}
}

func maskedKeys(keys []Key) []byte {
	if len(keys) == 0 {
		return nil
	}
	masked := make([]Key, len(keys))
	for i, key := range keys {
		masked[i] = key.Masked()
	}
	return mustJSON(masked)
}

// mustJSON writes our own nouns, which always can be written: a time beyond
// the year 9999 is the only thing in them that JSON cannot hold.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("BUG: write %T as JSON: %v", v, err))
	}
	return b
}
