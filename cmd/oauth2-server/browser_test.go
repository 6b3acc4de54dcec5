package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"oauth2-server/store"
)

// The pages in Chromium, with the page of deploy/connect.md as the application. `go test -artifacts` keeps the screenshots.

// A chrome is a browser with an empty profile, at one tab.
type chrome struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the console said, and requests to other hosts
}

func newChrome(t *testing.T) *chrome {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: scripts/deps installs chromium", err)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		chromedp.Env("TMPDIR="+t.TempDir()), // it leaves folders there
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	within, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	allocator, end := chromedp.NewExecAllocator(within, flags...)
	t.Cleanup(end)
	ctx, endTab := chromedp.NewContext(allocator)
	t.Cleanup(endTab)
	c := &chrome{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, c.listen); err != nil { // starts the browser
		t.Fatal(err)
	}
	c.do(func(ctx context.Context, tab *chromedp.Target) (none chromedp.Void, err error) {
		if _, err = cdp.Call(ctx, tab, network.Enable, network.EnableParams{}); err == nil {
			_, err = cdp.Call(ctx, tab, log.Enable, cdp.Empty{})
		}
		return none, err
	})
	return c
}

// listen collects what should not be.
func (c *chrome) listen(event any) {
	fault := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Hostname() != "127.0.0.1" {
			fault = "request to " + e.Request.URL
		}
	case *log.EventEntryAdded:
		fault = fmt.Sprintf("%s of %s: %s %s", e.Entry.Level, e.Entry.Source, e.Entry.Text, e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		fault = fmt.Sprintf("console.%s", e.Type)
	case *runtime.EventExceptionThrown:
		fault = "exception: " + e.ExceptionDetails.Text
	}
	if fault != "" {
		c.mu.Lock()
		c.faults = append(c.faults, fault)
		c.mu.Unlock()
	}
}

// wantQuiet: nothing was said that is not expected.
func (c *chrome) wantQuiet(expected ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
next:
	for _, fault := range c.faults {
		for _, one := range expected {
			if strings.Contains(fault, one) {
				continue next
			}
		}
		c.t.Error(fault)
	}
	c.faults = nil
}

func (c *chrome) do(steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	within, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	if err := chromedp.Do(within, steps...); err != nil {
		c.t.Fatalf("%v; the browser shows %s\nand said %v", err, evaluate[string](c, shown), c.faults)
	}
}

const shown = `document.location + "\n" + document.body?.innerText`

// evaluate is the value of an expression on the page; zero while there is no page.
func evaluate[T any](c *chrome, expression string) T {
	value, _ := chromedp.Run(c.ctx, chromedp.Evaluate[T](expression))
	return value
}

// until waits for an expression to be true, across pages.
func (c *chrome) until(expression string) {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if evaluate[bool](c, expression) {
			return
		}
	}
	c.t.Fatalf("never: %s; the browser shows %s\nand said %v", expression, evaluate[string](c, shown), c.faults)
}

// see waits until the page says the text.
func (c *chrome) see(text string) {
	c.t.Helper()
	c.until(fmt.Sprintf(`document.readyState === 'complete' && document.body.innerText.includes(%q)`, text))
}

func (c *chrome) open(address string) { c.t.Helper(); c.do(chromedp.Navigate(address)) }

func (c *chrome) click(selector string) {
	c.t.Helper()
	c.do(chromedp.Click(chromedp.CSS(selector)))
}

// apply opens the application, and waits until it is ready.
func (c *chrome) apply(g *guide) {
	c.t.Helper()
	c.open(g.here)
	c.until(`document.getElementById('sign-in')?.disabled === false`)
}

// signIn fills in the form.
func (c *chrome) signIn(password string) {
	c.t.Helper()
	c.do(
		chromedp.WaitVisible(chromedp.CSS("#password")), chromedp.SetValue(chromedp.CSS("#username"), "anna"),
		chromedp.SendKeys(chromedp.CSS("#password"), password), chromedp.Click(chromedp.CSS("form button")),
	)
}

// look holds what every page promises against the one that is shown, at the width of a desk and of a phone, and keeps pictures.
func (c *chrome) look(name string) {
	c.t.Helper()
	for _, width := range []int64{1280, 390} {
		c.do(chromedp.EmulateViewport(width, 844))
		picture, err := chromedp.Run(c.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			c.t.Fatal(err)
		}
		if problems := evaluate[string](c, pageProblems); problems != "" {
			c.t.Errorf("%s, %d pixels wide: %s", name, width, problems)
		}
		if err := os.WriteFile(filepath.Join(c.t.ArtifactDir(), fmt.Sprintf("%s-%d.png", name, width)), picture, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// pageProblems tells what is wrong for who cannot see all of the page, or uses no mouse (WCAG 1.3.1, 1.4.10, 2.4.2, 3.1.1, 3.3.2).
const pageProblems = `[
	document.documentElement.scrollWidth > innerWidth && 'it scrolls sideways',
	!document.documentElement.lang && 'no language',
	!document.title && 'no title',
	document.querySelectorAll('h1').length !== 1 && 'not one h1',
	document.querySelectorAll('main').length !== 1 && 'not one main',
	[...document.querySelectorAll('input:not([type=hidden], [hidden])')].some((i) => !i.labels.length) && 'an input without a label',
	[...document.querySelectorAll('button, .button')].some((b) => b.getBoundingClientRect().height < 44) && 'a button too small for a finger',
	document.querySelector('script, iframe, [onclick], link[href^=http]') && 'a script, or something from outside',
].filter(Boolean).join(', ')`

func TestBrowser(t *testing.T) {
	s := newSite(t, 2)
	s.newPerson("anna")
	g := newGuide(t, s)
	g.register(s, "page", "page")
	g.servePage()
	t.Run("pages", func(t *testing.T) { walkPages(t, s, g) })
	t.Run("keyboard", func(t *testing.T) { byKeyboard(t, g) })
	t.Run("form_post", func(t *testing.T) { byFormPost(t, s, g) })
}

func walkPages(t *testing.T, s *site, g *guide) {
	c := newChrome(t)
	c.apply(g)
	c.click("#sign-in")
	c.see("Password")
	c.look("login")
	c.wantQuiet()

	c.signIn("a wrong password")
	c.see("is wrong")
	c.look("login-wrong")
	c.wantQuiet("401")

	c.signIn(testPassword)
	c.see("would like to")
	c.look("consent")
	c.click("button[value=deny]")
	c.see("That did not work: access_denied")

	c.apply(g)
	c.click("#sign-in")
	c.see("would like to")
	c.click("button[value=allow]")
	c.see("Hello, anna.")

	c.open(s.issuer + "/profile")
	c.see("Applications you have allowed")
	c.look("profile")
	c.click("form[action$='/profile/revoke'] button")
	c.see("Access removed. The application can do nothing in your name any more")
	c.see("None.")
	c.look("profile-revoked")

	c.apply(g)
	c.click("#sign-in")
	c.see("would like to") // what was withdrawn is asked for again
	c.click("button[value=allow]")
	c.see("Hello, anna.")
	c.click("#who a")
	c.do(chromedp.WaitVisible(chromedp.CSS("#sign-in"))) // back from the logout

	c.open(s.issuer + "/auth/login")
	c.signIn(testPassword)
	c.see("Your profile")
	c.open(s.issuer + "/oauth/logout") // nobody's: the user is asked
	c.see("Sign out?")
	c.look("logout")
	c.click("main a") // no
	c.see("Your profile")
	c.click("form[action$='/auth/logout'] button")
	c.see("You are signed out here.")
	c.look("signed-out")
	c.open(s.issuer + "/oauth/authorize?client_id=page&redirect_uri=https%3A%2F%2Fevil.example")
	c.see("redirect_uri")
	c.look("error")
	c.wantQuiet("400")
}

// byKeyboard signs in and consents without a mouse (WCAG 2.1.1).
func byKeyboard(t *testing.T, g *guide) {
	c := newChrome(t)
	c.apply(g)
	c.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	c.see("Password")
	c.until(`document.activeElement.id === 'username'`)
	c.do(chromedp.KeyEvent("anna"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(testPassword), chromedp.KeyEvent(kb.Enter))
	c.see("would like to")
	for range 10 {
		c.do(chromedp.KeyEvent(kb.Tab))
		if evaluate[string](c, `document.activeElement.value ?? ''`) == "allow" {
			break
		}
	}
	c.look("consent-focus")
	c.do(chromedp.KeyEvent(kb.Enter))
	c.see("Hello, anna.")
	c.wantQuiet()
}

// byFormPost: the page that posts the answer does so by itself, under its content security policy.
func byFormPost(t *testing.T, s *site, g *guide) {
	as := s.register(store.Client{ID: "form", RedirectURIs: []string{g.here + "/form"}})
	c := newChrome(t)
	f := s.newFlow(as, "openid", "response_mode", "form_post", "redirect_uri", g.here+"/form")
	c.open(f.url())
	c.signIn(testPassword)
	c.see("would like to")
	c.click("button[value=allow]")
	c.see("posted with state " + f.params.Get("state"))
	c.wantQuiet()
}
