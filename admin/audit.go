package admin

import (
	"encoding/json"

	"oauth2-server/store"
)

func auditRoutes() []route {
	return []route{
		on("GET", "/admin/api/audit", "Who changed what, the newest first", listAudit),
	}
}

type auditQuery struct {
	Object string `query:"object" doc:"what was changed: a client id, the name of a limit, …"`
	Actor  string `query:"actor" doc:"beginning of who did it, like admin: or cli:root"`
	Action string `query:"action" doc:"beginning of what was done, like limit."`
	Before int64  `query:"before" min:"1" max:"9223372036854775807" doc:"rows before this id: next of the page before"`
	Limit  int    `query:"limit" default:"50" min:"1" max:"500" doc:"at most so many rows; a page has about 4 MiB at most"`
}

type auditPage struct {
	Items []auditRow `json:"items"`
	Next  *int64     `json:"next" doc:"for before, to get the next page; null: this was the last"`
}

type auditRow struct {
	store.Audit
	Before json.RawMessage `json:"before,omitempty" doc:"what it was"`
	After  json.RawMessage `json:"after,omitempty" doc:"what it became"`
}

const (
	// maxPageBytes is about how much one answer tells of values: one row may have two megabytes.
	maxPageBytes = 4 << 20
	// auditRead is how many rows are read at once.
	auditRead = 16
)

func listAudit(s *Server, c *call, q *auditQuery) (auditPage, error) {
	page, size := auditPage{Items: []auditRow{}}, 0
	query := store.AuditQuery{Object: q.Object, Actor: q.Actor, Action: q.Action, Before: q.Before}
	for {
		// One more than asked tells whether there is another page.
		query.Limit = min(q.Limit+1-len(page.Items), auditRead)
		rows, err := s.DB.Audits(c, query)
		if err != nil {
			return auditPage{}, err
		}
		for _, row := range rows {
			size += len(row.Before) + len(row.After)
			if n := len(page.Items); n == q.Limit || n > 0 && size > maxPageBytes {
				page.Next = &page.Items[n-1].ID
				return page, nil
			}
			page.Items = append(page.Items, auditRow{Audit: row, Before: row.Before, After: row.After})
			query.Before = row.ID
		}
		if len(rows) < query.Limit {
			return page, nil
		}
	}
}
