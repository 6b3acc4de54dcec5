package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

// A UserExport is all that is kept of a user, but what belongs to the password.
type UserExport struct {
	User     userView        `json:"user"`
	Consents []consent       `json:"consents"`
	Grants   []explain.Grant `json:"grants"`
	Audit    []auditRow      `json:"audit" doc:"what was done to the user: changes, cut-offs of the subject, consents withdrawn"`
}

// An ExportStore is what [Export] asks.
type ExportStore interface {
	peopleStore
	explain.DeathStore
	Audits(ctx context.Context, query store.AuditQuery) ([]store.Audit, error)
}

// exportPage is the rows that are read at once.
const exportPage = 500

// Export gathers what is kept of a user.
func Export(ctx context.Context, db ExportStore, user *store.User, now time.Time) (UserExport, error) {
	export := UserExport{User: viewUser(user), Grants: []explain.Grant{}, Audit: []auditRow{}}
	var err error
	if export.Consents, err = consents(ctx, db, user.ID); err != nil {
		return export, err
	}
	query := store.GrantQuery{Subject: user.ID.String(), Limit: exportPage}
	for more := true; more; more = !query.Before.IsZero() {
		var page []explain.Grant
		if page, query.Before, err = explain.Grants(ctx, db, query, now); err != nil {
			return export, err
		}
		export.Grants = append(export.Grants, page...)
	}
	for _, object := range export.audited() {
		if err := export.audit(ctx, db, object); err != nil {
			return export, err
		}
	}
	slices.SortFunc(export.Audit, func(a, b auditRow) int { return cmp.Compare(b.ID, a.ID) })
	return export, nil
}

// audited is the objects of the audit that are about the user: the user, the subject that was cut off, and consents withdrawn.
func (e *UserExport) audited() []string {
	id := e.User.ID.String()
	objects := []string{"user " + id, string(store.CutSubject) + " " + id}
	add := func(client string) {
		if object := "consent " + id + " " + client; !slices.Contains(objects, object) {
			objects = append(objects, object)
		}
	}
	for _, one := range e.Consents {
		add(one.Client)
	}
	for _, one := range e.Grants {
		add(one.Client)
	}
	return objects
}

// audit adds the rows about an object.
func (e *UserExport) audit(ctx context.Context, db ExportStore, object string) error {
	query := store.AuditQuery{Object: object, Limit: exportPage}
	for {
		rows, err := db.Audits(ctx, query)
		if err != nil {
			return err
		}
		for _, row := range rows {
			e.Audit = append(e.Audit, auditRow{Audit: row, Before: row.Before, After: row.After})
			query.Before = row.ID
		}
		if len(rows) < exportPage {
			return nil
		}
	}
}

func exportUser(s *Server, c *call, in *oneUser) (UserExport, error) {
	user, err := s.user(c, in.ID)
	if err != nil {
		return UserExport{}, err
	}
	return Export(c, s.DB, &user, s.now())
}
