package hotpath

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"oauth2-server/hotpath/login"
	"oauth2-server/hotpath/pages"
	"oauth2-server/store"
)

// A FrontStore is what the pages need of a store; storetest.Store has the promises.
type FrontStore interface {
	User(ctx context.Context, id store.ID) (store.User, error)
	ChangeUser(ctx context.Context, actor store.Actor, action string, id store.ID, change func(old *store.User) (*store.User, error)) (store.User, error)
	Grants(ctx context.Context, query store.GrantQuery) ([]store.Grant, error)
	Consents(ctx context.Context, user store.ID) ([]store.Consent, error)
	SpendPushed(ctx context.Context, id store.ID) error // [store.ErrSpent]
	SaveConsent(ctx context.Context, consent store.Consent) error
	WithdrawConsent(ctx context.Context, actor store.Actor, user store.ID, client string) error
}

// A Front is the part of the server that people meet. All fields but AnyHost are required.
type Front struct {
	Store    FrontStore
	Sessions *login.Sessions // seals sessions and requests
	Door     *login.Door     // of any role
	Brand    pages.Brand
	AnyHost  bool // nobody has said what the public URL is: forms may come from the host that they are sent to, by whatever name
}

// front is a Front at work.
type front struct {
	Front
	pages  *pages.Set
	base   string // path of the public URL, before every path here: a proxy takes it away
	origin string // of the public URL
	scheme string // of the public URL
	cookie string // its name
	secure bool   // the public URL is https
}

// newFront prepares the pages for the public URL, which is the issuer.
func newFront(f Front, issuer *url.URL) (*front, error) {
	base := strings.TrimSuffix(issuer.EscapedPath(), "/")
	f.Brand.Name = cmp.Or(f.Brand.Name, issuer.Host) // where people are, if nothing says it better
	set, err := pages.New(f.Brand, base)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	front := &front{Front: f, pages: set, base: base, scheme: issuer.Scheme, origin: issuer.Scheme + "://" + issuer.Host, cookie: cookieName}
	if front.secure = issuer.Scheme == "https"; front.secure {
		front.cookie = secureCookieName
	}
	return front, nil
}

// Paths of pages, as the browser gets them behind the base.
const (
	pathAuthorize = "/oauth/authorize"
	pathLogin     = "/auth/login"
	pathConsent   = "/auth/consent"
	pathSignedOut = "/auth/signed-out"
	pathProfile   = "/profile"
)

// pageWithin bounds what one page waits for: the store and a password's turn.
const pageWithin = 5 * time.Second

// A visit is a request for a page, while it is served.
type visit struct {
	*fasthttp.RequestCtx
	x       *exchange
	within  context.Context
	session *login.Session // of the cookie or just begun; it may have ended: see standing
	begun   store.ID       // the session that began by this form; zero: none
}

// onPage makes a handler of one that serves people.
func onPage(handle func(*Server, *visit) error) func(*Server, *fasthttp.RequestCtx, *exchange) error {
	return func(s *Server, ctx *fasthttp.RequestCtx, x *exchange) error {
		if s.front == nil {
			return errNoRoute
		}
		within, cancel := context.WithTimeout(context.Background(), pageWithin)
		defer cancel()
		v := &visit{RequestCtx: ctx, x: x, within: within}
		v.session = s.readCookie(ctx)
		return handle(s, v)
	}
}

// onForm makes a handler of one that takes a form of our own pages: nobody else's page may send it.
func onForm(handle func(*Server, *visit) error) func(*Server, *fasthttp.RequestCtx, *exchange) error {
	return onPage(func(s *Server, v *visit) error {
		if !s.front.ours(&v.Request.Header) {
			return errForeign
		}
		if err := v.x.parseForm(v.RequestCtx); err != nil {
			return err
		}
		return handle(s, v)
	})
}

// byMethod makes a handler of one that shows a page and one that takes its form.
func byMethod(show, take func(*Server, *fasthttp.RequestCtx, *exchange) error) func(*Server, *fasthttp.RequestCtx, *exchange) error {
	return func(s *Server, ctx *fasthttp.RequestCtx, x *exchange) error {
		if ctx.IsPost() {
			return take(s, ctx, x)
		}
		return show(s, ctx, x)
	}
}

// clock is the store's: what one replica begins another judges.
func (s *Server) clock() time.Time { return time.Unix(0, s.tier.Now()) }

// field is a parameter of the form, as a copy.
func (v *visit) field(name string) string { return string(v.x.form.get(name)) }

// userActor is the user, for what is done on the user's own pages.
func (s *Server) userActor(v *visit, user *store.User) store.Actor {
	return store.Actor{Kind: "user", ID: user.Username, Address: s.clientAddress(v.RequestCtx).String()}
}

// seeOther sends the browser to a path here, which it gets: never a 307, which would repeat a form with its password (RFC 9700 §4.12).
func (s *Server) seeOther(v *visit, path string) { redirect(v.RequestCtx, s.front.base+path) }

func redirect(ctx *fasthttp.RequestCtx, target string) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderLocation, target)
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// writePage answers with a page, which nobody may keep, frame or take for something else.
func writePage(ctx *fasthttp.RequestCtx, status int, page pages.Page) {
	h := &ctx.Response.Header
	h.SetContentType("text/html; charset=utf-8")
	h.Set(fasthttp.HeaderContentSecurityPolicy, page.Policy)
	h.Set(fasthttp.HeaderXFrameOptions, "DENY")
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	h.Set(fasthttp.HeaderReferrerPolicy, "same-origin") // our own forms must come with an Origin
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(status)
	ctx.Response.SetBody(page.Body)
}

// wantsPage reports whether it is a browser that asks, for somebody to read the answer.
func wantsPage(ctx *fasthttp.RequestCtx) bool {
	return bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html"))
}

// isPage reports whether the route answers people, faults included: those of pages stand together.
func isPage(id routeID) bool { return id >= routeAuthorize && id <= routeWithdraw }
