package hotpath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/oauth"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

// home serves GET /: who types the name of this host wants to see what is his here.
func (s *Server) home(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onPage(func(s *Server, v *visit) error {
		s.seeOther(v, pathProfile)
		return nil
	})(s, ctx, x)
}

// profile serves GET /profile.
func (s *Server) profile(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onPage(signedIn((*Server).showProfile))(s, ctx, x)
}

// withdraw serves POST /profile/revoke.
func (s *Server) withdraw(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onForm(signedIn((*Server).withdrawConsent))(s, ctx, x)
}

// signOut serves POST /auth/logout: this browser's session ends, and all that lives with it.
func (s *Server) signOut(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onForm((*Server).endSession)(s, ctx, x)
}

// signedOut serves GET /auth/signed-out.
func (s *Server) signedOut(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onPage(func(s *Server, v *visit) error {
		writePage(v.RequestCtx, fasthttp.StatusOK, s.front.pages.SignedOut())
		return nil
	})(s, ctx, x)
}

// signedIn makes a handler of one for who is signed in; anybody else is sent to do that.
func signedIn(handle func(*Server, *visit, *person) error) func(*Server, *visit) error {
	return func(s *Server, v *visit) error {
		who, err := s.standing(v.within, v.session)
		if err != nil {
			return err
		}
		if who == nil {
			s.seeOther(v, pathLogin)
			return nil
		}
		return handle(s, v, who)
	}
}

// What was done, as the profile says it.
var done = map[string]string{
	"revoked":  "Access removed. The application can do nothing in your name any more, and has to ask you before it can again.",
	"password": "Your password is changed. You are signed out everywhere else.",
}

// forDone is the audience of what was done, sealed: no link of somebody else's makes a profile say it.
const forDone login.Audience = "public done"

// doneLife is how long a browser may take to follow a redirect.
const doneLife = time.Minute

// seeDone sends the browser to the profile of the session, which says what was done.
func (s *Server) seeDone(v *visit, session *login.Session, word string) {
	s.seeOther(v, pathProfile+"?done="+s.front.Sessions.SealText(forDone, session.ID.String()+" "+word, s.clock().Add(doneLife)))
}

// done is what was just done in the session, as the profile says it; "": nothing.
func (s *Server) done(v *visit, session *login.Session) string {
	text, err := s.front.Sessions.OpenText(forDone, string(v.QueryArgs().Peek("done")), s.clock())
	if err != nil {
		return ""
	}
	word, _ := strings.CutPrefix(text, session.ID.String()+" ")
	return done[word]
}

func (s *Server) showProfile(v *visit, who *person) error {
	return s.writeProfile(v, who, fasthttp.StatusOK, "")
}

// maxGrants bounds the work of a profile.
const maxGrants = 200

// writeProfile shows the profile, with what is wrong with the last form.
func (s *Server) writeProfile(v *visit, who *person, status int, problem string) error {
	consents, err := s.front.Store.Consents(v.within, who.ID)
	if err != nil {
		return fmt.Errorf("find consents: %w", err)
	}
	grants, err := s.front.Store.Grants(v.within, store.GrantQuery{Subject: who.ID.String(), Live: true, Limit: maxGrants})
	if err != nil {
		return fmt.Errorf("find grants: %w", err)
	}
	page := pages.Profile{
		Username: who.Username, Email: who.Email, Since: time.Unix(who.session.Issued, 0).UTC(),
		Applications: s.applications(consents, grants), More: len(grants) == maxGrants,
		Done: s.done(v, &who.session), Problem: problem,
	}
	writePage(v.RequestCtx, status, s.front.pages.Profile(page))
	return nil
}

// applications is what the user has allowed, by client: what is remembered, and what is in use.
func (s *Server) applications(consents []store.Consent, grants []store.Grant) []pages.Application {
	scopes, found := map[string][]string{}, map[string]*pages.Application{}
	note := func(client string, list []string, since time.Time) *pages.Application {
		a := found[client]
		if a == nil {
			a = &pages.Application{ID: client, Name: s.clientName(client), Since: since.UTC()}
			found[client] = a
		}
		if since.Before(a.Since) {
			a.Since = since.UTC()
		}
		for _, scope := range list {
			if !slices.Contains(scopes[client], scope) {
				scopes[client] = append(scopes[client], scope)
			}
		}
		return a
	}
	for i := range consents {
		note(consents[i].Client, consents[i].Scopes, consents[i].At)
	}
	for i := range grants {
		g := &grants[i]
		if a := note(g.Client, strings.Fields(g.Scope), g.Created); g.Used.After(a.Used) {
			a.Used = g.Used.UTC()
		}
	}
	var all []pages.Application
	for client, a := range found {
		a.Scopes = pages.Scopes(strings.Join(scopes[client], " "))
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b pages.Application) int { return strings.Compare(a.Name+"\n"+a.ID, b.Name+"\n"+b.ID) })
	return all
}

// clientName is the name of a client that may be gone.
func (s *Server) clientName(id string) string {
	if client := s.tier.Client([]byte(id)); client != nil {
		return nameOf(client)
	}
	return id
}

var errNoClient = &oauth.Error{Code: oauth.InvalidRequest, Description: "client is missing"}

// withdrawConsent takes back all that the user has allowed a client.
func (s *Server) withdrawConsent(v *visit, who *person) error {
	client := v.field("client")
	if client == "" {
		return errNoClient
	}
	if err := s.front.Store.WithdrawConsent(v.within, s.userActor(v, &who.User), who.ID, client); err != nil {
		return fmt.Errorf("withdraw consent: %w", err)
	}
	s.seeDone(v, &who.session, "revoked")
	return nil
}

// endSession signs out. Nobody has to be signed in for it.
func (s *Server) endSession(v *visit) error {
	who, err := s.standing(v.within, v.session)
	if err != nil {
		return err
	}
	if who != nil {
		presence := oauth.Presence{User: who.ID, Session: who.session.ID, Actor: s.userActor(v, &who.User)}
		if _, err := s.rules.Logout(v.within, &oauth.LogoutRequest{Confirmed: true}, presence); err != nil {
			return err
		}
	} else if err := s.endAgain(v); err != nil {
		return err
	}
	s.setCookie(v.RequestCtx, nil)
	s.seeOther(v, pathSignedOut)
	return nil
}

// changePassword serves POST /profile/password.
func (s *Server) changePassword(ctx *fasthttp.RequestCtx, x *exchange) error {
	return onForm(signedIn((*Server).renewPassword))(s, ctx, x)
}

// renewPassword demands the old password, as if the user signed in, limits included (ASVS 6.2.3).
func (s *Server) renewPassword(v *visit, who *person) error {
	user, err := s.attempt(v, who.Username, v.field("old"))
	if errors.Is(err, login.ErrWrong) {
		return s.writeProfile(v, who, fasthttp.StatusForbidden, "The present password is wrong.")
	}
	if err != nil {
		status, problem := s.problemOf(v, err)
		if status == 0 {
			return err
		}
		return s.writeProfile(v, who, status, problem)
	}
	if problem := sameAsBefore(who, v.field("old"), v.field("new")); problem != "" {
		return s.writeProfile(v, who, fasthttp.StatusUnprocessableEntity, problem)
	}
	kept, err := s.front.Door.Hasher.Choose(v.within, v.field("new"))
	if refused, ok := errors.AsType[*store.FieldError](err); ok {
		return s.writeProfile(v, who, fasthttp.StatusUnprocessableEntity, "The new password "+refused.Problem+".")
	}
	if err != nil {
		return err
	}
	return s.putPassword(v, who, user.Version, kept)
}

// sameAsBefore is what is wrong with a new password that is nothing new; "": it is.
func sameAsBefore(who *person, old, anew string) string {
	switch {
	case anew == old:
		return "The new password is the present one. Choose another."
	case store.FoldUsername(anew) == who.Username:
		return "The new password is your user name. Choose another."
	}
	return ""
}

// putPassword ends every session of the user, and begins a new one here.
func (s *Server) putPassword(v *visit, who *person, version int64, kept string) error {
	user, err := s.front.Store.ChangeUser(v.within, s.userActor(v, &who.User), "user.password", who.ID, func(old *store.User) (*store.User, error) {
		if old == nil || old.Version != version {
			return nil, store.ErrConflict
		}
		anew := *old
		anew.Password = kept
		return &anew, nil
	})
	if errors.Is(err, store.ErrConflict) {
		return s.writeProfile(v, who, fasthttp.StatusConflict, "Your account was changed meanwhile. Try again.")
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	for range 20 { // the cut-off of what was before is on its way here: a session from behind it is not hit
		if s.over(&who.session) {
			break
		}
		s.tier.AwaitPoll()
	}
	s.seeDone(v, s.begin(v, &user), "password")
	return nil
}
