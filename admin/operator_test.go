package admin

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"oauth2-server/store"
)

// An operator is root, signed in, in front of a site.
type operator struct {
	*site
	cookie string
}

func newOperator(t *testing.T, change ...func(*Options)) *operator {
	t.Helper()
	s := newSite(t, change...)
	return &operator{s, s.signIn("root")}
}

// signInAgain is for after everything was revoked. A session that is begun before this replica has heard of that is dead too.
func (o *operator) signInAgain() {
	o.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		o.cookie = o.signIn("root")
		if o.do("GET", "/admin/api/stats", "", "Cookie", o.cookie).StatusCode == http.StatusOK {
			return
		}
	}
	o.t.Fatal("no session stands")
}

// ask sends a request in the operator's session, and wants the status.
func (o *operator) ask(status int, method, path, body string, headers ...string) reply {
	o.t.Helper()
	return o.do(method, "/admin/api"+path, body, append([]string{"Cookie", o.cookie}, headers...)...).want(o.t, status)
}

// get decodes what a path answers.
func get[T any](o *operator, path string) (v T) {
	o.t.Helper()
	o.ask(200, "GET", path, "").read(o.t, &v)
	return v
}

// post decodes what a POST answers that succeeds.
func post[T any](o *operator, path, body string) (v T) {
	o.t.Helper()
	o.ask(200, "POST", path, body).read(o.t, &v)
	return v
}

// wrong is the fields that a request is refused for.
func (o *operator) wrong(method, path, body string) (fields []string) {
	o.t.Helper()
	for _, e := range o.ask(400, method, path, body).problem(o.t).Errors {
		fields = append(fields, e.Field)
	}
	return fields
}

// refused wants a status, and the words in the reason.
func (o *operator) refused(status int, method, path, body string, words ...string) {
	o.t.Helper()
	p := o.ask(status, method, path, body).problem(o.t)
	for _, word := range words {
		if !strings.Contains(p.Detail, word) {
			o.t.Errorf("%s %s: got %q, want %q in it", method, path, p.Detail, word)
		}
	}
}

// audited wants the newest row of the object to be of this action, by root from here.
func (o *operator) audited(action, object string) store.Audit {
	o.t.Helper()
	rows := o.audits(store.AuditQuery{Object: object, Limit: 1})
	if len(rows) != 1 || rows[0].Action != action || rows[0].Actor != "admin:root@127.0.0.1" {
		o.t.Fatalf("got %+v, want %s of %s by root", rows, action, object)
	}
	return rows[0]
}

func (o *operator) audits(query store.AuditQuery) []store.Audit {
	o.t.Helper()
	rows, err := o.db.Audits(o.t.Context(), query)
	if err != nil {
		o.t.Fatal(err)
	}
	return rows
}

// hides wants none of the secrets in the audit, in the log, nor in what the paths answer.
func (o *operator) hides(secrets []string, paths ...string) {
	o.t.Helper()
	texts := []string{o.log.String()}
	for _, row := range o.audits(store.AuditQuery{Limit: 1000}) {
		texts = append(texts, row.Object+string(row.Before)+string(row.After))
	}
	for _, path := range paths {
		texts = append(texts, o.ask(200, "GET", path, "").body)
	}
	for _, text := range texts {
		for i, secret := range secrets {
			if strings.Contains(text, secret) {
				o.t.Errorf("secret %d is in %.300q", i, text)
			}
		}
	}
}

// race sends the request so many times at once, and counts the answers by status.
func (o *operator) race(n int, method, path, body string) map[int]int {
	o.t.Helper()
	statuses, group := make([]int, n), new(sync.WaitGroup)
	for i := range n {
		group.Go(func() {
			statuses[i] = o.do(method, "/admin/api"+path, body, "Cookie", o.cookie).StatusCode
		})
	}
	group.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() // Shutdown waits for those that were dialled and not used
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	return count
}
