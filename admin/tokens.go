package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"oauth2-server/hotpath/explain"
	"oauth2-server/store"
)

func tokenRoutes() []route {
	const one = "/admin/api/tokens/{id}"
	return []route{
		on("GET", "/admin/api/tokens", "The newest opaque access tokens, by a scan that is bounded", listTokens),
		on("GET", one, "An opaque access token", showToken),
		on("POST", one+"/revoke", "Revoke an opaque access token", revokeTokenByID),
		on("POST", "/admin/api/tokens/explain", "Say why a token is active or not, whatever its kind", explainToken),
		on("POST", "/admin/api/tokens/revoke", "Revoke a token, by its id if it is opaque, or by its text", revokeToken),
	}
}

// A tokenView is what the record of a token says, and what became of it.
type tokenView struct {
	ID       store.ID  `json:"id"`
	Client   string    `json:"client_id"`
	Subject  string    `json:"subject"`
	Scope    string    `json:"scope,omitempty"`
	Audience string    `json:"audience,omitempty"`
	Grant    store.ID  `json:"grant,omitzero"`
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"`
	Active   bool      `json:"active" doc:"false: it expired, or was ended as denied and cut_off say"`
	explain.Fate
}

func (s *Server) viewToken(ctx context.Context, deaths *explain.Deaths, r *store.Record) (tokenView, error) {
	fate, err := deaths.Of(ctx, r)
	v := tokenView{
		ID: r.ID, Client: string(r.Client), Subject: string(r.Subject), Scope: string(r.Scope), Audience: string(r.Audience), Grant: r.Grant,
		Issued: time.Unix(r.Issued, 0).UTC(), Expires: time.Unix(r.Expires, 0).UTC(), Fate: fate,
	}
	v.Active = fate.Alive() && s.now().Before(v.Expires)
	return v, err
}

// now is the store's clock, by which tokens expire.
func (s *Server) now() time.Time { return time.Unix(0, s.Tier.Now()).UTC() }

// maxScan bounds the rows that one request looks at.
const maxScan = 10_000

type tokenList struct {
	Items    []tokenView     `json:"items"`
	Grants   []explain.Grant `json:"grants,omitempty" doc:"the newest of the subject, on the first page: GET /admin/api/grants has them all"`
	Scanned  int             `json:"scanned" doc:"rows that were looked at, at most 10000"`
	Complete bool            `json:"complete" doc:"true: there are no older rows; false: go on with next"`
	Next     *store.ID       `json:"next" doc:"for before, to look at older rows; null: there are none"`
	Note     string          `json:"note"`
}

func listTokens(s *Server, c *call, in *struct {
	Client  string   `query:"client" doc:"only those of the client"`
	Subject string   `query:"subject" doc:"only those of the subject"`
	Before  store.ID `query:"before" doc:"only those with an id before this one"`
	Limit   int64    `query:"limit" default:"50" min:"1" max:"200"`
},
) (tokenList, error) {
	rows := int(in.Limit)
	if in.Client != "" || in.Subject != "" {
		rows = maxScan
	}
	var found []store.Record
	sweep, err := s.scan(c, in.Before, rows, func(r *store.Record) bool {
		if (in.Client == "" || in.Client == string(r.Client)) && (in.Subject == "" || in.Subject == string(r.Subject)) {
			found = append(found, *r)
		}
		return len(found) < int(in.Limit)
	})
	if err != nil {
		return tokenList{}, err
	}
	list := tokenList{Items: []tokenView{}, Scanned: sweep.rows, Complete: sweep.whole, Note: "JWTs are not recorded, so they are not listed"}
	if !sweep.whole {
		list.Next = &sweep.last
	}
	deaths, err := explain.ReadDeaths(c, s.DB)
	if err != nil {
		return tokenList{}, err
	}
	if in.Subject != "" && in.Before.IsZero() {
		query := store.GrantQuery{Subject: in.Subject, Client: in.Client, Limit: int(in.Limit)}
		if list.Grants, _, err = explain.Grants(c, s.DB, query, s.now()); err != nil {
			return tokenList{}, err
		}
	}
	for i := range found {
		v, err := s.viewToken(c, deaths, &found[i])
		if err != nil {
			return tokenList{}, err
		}
		list.Items = append(list.Items, v)
	}
	return list, nil
}

// A sweep is how far a scan came.
type sweep struct {
	rows  int
	whole bool // there are no older rows
	last  store.ID
}

// scan shows at most so many of the newest records before an id. look may not use the store; it ends
// the scan by returning false.
func (s *Server) scan(ctx context.Context, before store.ID, rows int, look func(*store.Record) bool) (w sweep, err error) {
	var damaged error
	w.whole = true
	// One row more than is looked at tells whether there is one.
	err = s.DB.NewestTokens(ctx, before, rows+1, func(t store.Token) bool {
		if w.rows == rows || !w.whole {
			w.whole = false
			return false
		}
		var r store.Record
		if damaged = r.Parse(t.Record); damaged != nil {
			damaged = fmt.Errorf("read token %s: %w", t.ID, damaged)
			return false
		}
		w.rows, w.last = w.rows+1, t.ID
		if !look(&r) {
			rows = w.rows
		}
		return true
	})
	return w, errors.Join(err, damaged)
}

// oneToken is a request that only says which token.
type oneToken struct {
	ID store.ID `path:"id"`
}

func showToken(s *Server, c *call, in *oneToken) (tokenView, error) {
	row, err := s.DB.FindToken(c, in.ID)
	if errors.Is(err, store.ErrNotFound) {
		return tokenView{}, refuse(http.StatusNotFound, "there is no record of token %s: it is of no opaque access token that the database still has, and JWTs are not recorded; "+
			"a JWT is revoked by its text (POST /admin/api/tokens/revoke), or with all tokens of its client (POST /admin/api/revoke)", in.ID)
	}
	if err != nil {
		return tokenView{}, err
	}
	var r store.Record
	if err := r.Parse(row.Record); err != nil {
		return tokenView{}, fmt.Errorf("read token %s: %w", in.ID, err)
	}
	deaths, err := explain.ReadDeaths(c, s.DB)
	if err != nil {
		return tokenView{}, err
	}
	return s.viewToken(c, deaths, &r)
}

func (s *Server) explain(ctx context.Context, text string) (*explain.Explanation, error) {
	return explain.Token(ctx, explain.Options{Store: s.DB, Ring: s.Ring, Issuer: s.Rules.Issuer, Now: s.now()}, []byte(text))
}

func explainToken(s *Server, c *call, in *struct {
	Token string `json:"token" required:"true" doc:"its text, which is neither kept nor answered"`
},
) (*explain.Explanation, error) {
	return s.explain(c, in.Token)
}

// A revoked is one token that was ended.
type revoked struct {
	ID      store.ID  `json:"id"`
	Client  string    `json:"client_id"`
	Expires time.Time `json:"expires"`
}

func revokeTokenByID(s *Server, c *call, in *oneToken) (revoked, error) {
	token, err := showToken(s, c, in)
	switch {
	case err != nil:
		return revoked{}, err
	case token.Denied != nil:
		return revoked{}, notActive("the %s was revoked at %s by %s", token.Denied.What, token.Denied.At.Format(time.RFC3339), token.Denied.By)
	case token.CutOff != nil:
		return revoked{}, notActive("all %s were revoked at %s by %s", token.CutOff.What, token.CutOff.At.Format(time.RFC3339), token.CutOff.By)
	case !token.Active:
		return revoked{}, notActive("it expired at %s", token.Expires.Format(time.RFC3339))
	}
	return s.deny(c, revoked{token.ID, token.Client, token.Expires})
}

func revokeToken(s *Server, c *call, in *struct {
	ID    store.ID `json:"id" doc:"of an opaque access token"`
	Token string   `json:"token" doc:"text of an access token of any kind, or of a refresh token, which ends its grant; it is neither kept nor answered"`
},
) (revoked, error) {
	if in.ID.IsZero() == (in.Token == "") {
		return revoked{}, refuse(http.StatusBadRequest, "give the id or the token, one of them")
	}
	if in.Token == "" {
		return revokeTokenByID(s, c, &oneToken{in.ID})
	}
	told, err := s.explain(c, in.Token)
	if err != nil {
		return revoked{}, err
	}
	if !told.Active {
		return revoked{}, notActive("%s", told.Cause)
	}
	if told.Kind == "refresh" { // RFC 7009 §2.1: the grant, and its access tokens
		_, err := s.endGrant(c, told.Grant)
		return revoked{told.Grant, told.Client, *told.Expires}, err
	}
	return s.deny(c, revoked{told.ID, told.Client, *told.Expires})
}

// notActive refuses to revoke what is not active, so that a mistake is noticed.
func notActive(format string, args ...any) *problem {
	return refuse(http.StatusConflict, "nothing to revoke: the token is not active: "+format, args...)
}

// deny ends the token, on this replica before it answers and on all within a second.
func (s *Server) deny(c *call, token revoked) (revoked, error) {
	return token, s.Tier.Deny(store.Denial{Kind: store.DenyToken, ID: token.ID, Expires: token.Expires.Unix(), Actor: c.Actor.String()})
}
