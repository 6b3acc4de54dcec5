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
	Limit  int    `query:"limit" default:"50" min:"1" max:"500"`
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

func listAudit(s *Server, c *call, q *auditQuery) (auditPage, error) {
	// One more than asked tells whether there is another page.
	rows, err := s.DB.Audits(c, store.AuditQuery{Object: q.Object, Actor: q.Actor, Action: q.Action, Before: q.Before, Limit: q.Limit + 1})
	if err != nil {
		return auditPage{}, err
	}
	page := auditPage{Items: []auditRow{}}
	for i, row := range rows {
		if i == q.Limit {
			page.Next = &rows[i-1].ID
			break
		}
		page.Items = append(page.Items, auditRow{Audit: row, Before: row.Before, After: row.After})
	}
	return page, nil
}
