package backchannel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"oauth2-server/store"
)

// maxAttempts is how often a token is sent before it is given up: at once, and after each of the pauses.
const maxAttempts = 5

var pauses = [maxAttempts - 1]time.Duration{5 * time.Second, 20 * time.Second, time.Minute, 3 * time.Minute}

// errGone means that there is nobody left to be told.
var errGone = errors.New("the client takes no logout tokens any more")

// deliver sends one token and says in the store what became of it.
func (c *Courier) deliver(ctx context.Context, l store.Logout) {
	err := c.send(ctx, &l)
	switch {
	case err == nil:
		c.delivered.Inc()
	case errors.Is(err, errGone):
	case ctx.Err() != nil:
		return // the server ends: the lease does, and another replica tries
	case l.Attempts+1 < maxAttempts:
		c.failed.Inc()
		c.settle(ctx, func(ctx context.Context) error {
			return c.Store.RetryLogout(ctx, l.ID, time.Unix(0, c.Now()).Add(pauses[l.Attempts]))
		})
		return
	default:
		c.abandoned.Inc()
		c.Log.Warn("a logout token could not be delivered, and is given up", slog.String("client", l.Client),
			slog.String("session", l.Session.String()), slog.Int("attempts", maxAttempts), slog.Any("err", err))
	}
	c.settle(ctx, func(ctx context.Context) error { return c.Store.FinishLogout(ctx, l.ID) })
}

// settle tells the store. If it cannot be told, the lease ends and the token is sent once more: a client sees it twice rather than never.
func (c *Courier) settle(ctx context.Context, tell func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if err := tell(ctx); err != nil && ctx.Err() == nil {
		c.Log.Warn("a logout token stays in the queue", slog.Any("err", err))
	}
}

// send makes a token and posts it (Back-Channel Logout §2.5). §2.8 has clients answer 200; many answer 204.
func (c *Courier) send(ctx context.Context, l *store.Logout) error {
	text, to, err := c.Tokens.LogoutToken(l)
	switch {
	case err != nil:
		return err
	case to == "":
		return errGone
	}
	ctx, cancel := context.WithTimeout(ctx, postPatience)
	defer cancel()
	status, err := c.Poster.Post(ctx, to, url.Values{"logout_token": {string(text)}}.Encode())
	switch {
	case err != nil:
		return err
	case status != http.StatusOK && status != http.StatusNoContent:
		return fmt.Errorf("the client answered %d", status)
	}
	return nil
}
