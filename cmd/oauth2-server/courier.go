package main

import (
	"context"
	"log/slog"

	"oauth2-server/hotpath/backchannel"
	"oauth2-server/hotpath/fetch"
)

// runCourier delivers logout tokens once the store is prepared.
func runCourier(ctx context.Context, r *running, log *slog.Logger) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.prepared:
	}
	return backchannel.New(backchannel.Options{
		Store: r.db, Tokens: r.rules, Poster: fetch.New(fetch.Options{PerHost: backchannel.Parallel}), Now: r.tier.Now, Metrics: r.metrics, Log: log,
	}).Run(ctx)
}
