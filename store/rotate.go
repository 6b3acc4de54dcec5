package store

import "time"

// Live reports whether the grant is neither revoked nor expired at now. Denials and cut-offs are not asked.
func (g *Grant) Live(now time.Time) bool { return !g.Revoked && g.Expires.After(now) }

// Redeemed is the grant as its row begins when its code is redeemed.
func (g Grant) Redeemed(now time.Time) Grant {
	g.Generation, g.Revoked = 1, false
	g.Created, g.Rotated, g.Used = now, now, now.Truncate(time.Minute)
	return g
}

// UTC makes the times of g UTC, as the other database has them.
func (g *Grant) UTC() {
	for _, t := range []*time.Time{&g.Rotated, &g.Created, &g.Used, &g.Expires} {
		*t = t.UTC()
	}
}

// Rotate does r to the row g and says what that was. now is the store's clock. The row differs after
// RotationDone and RotationReused only.
func (g *Grant) Rotate(r *Rotation, now time.Time) (outcome int) {
	switch {
	case g.Client != r.Client || !g.Live(now):
		return RotationRefused
	case r.Generation == g.Generation && r.Static:
		return RotationRepeated
	case r.Generation >= g.Generation: // newer than the row: a failover lost what the client has seen
		g.Generation, g.Key = r.Generation+1, r.Key
		g.Rotated, g.Used = now, now.Truncate(time.Minute)
		return RotationDone
	case r.Generation+1 == g.Generation && r.Grace > 0 && now.Sub(g.Rotated) < r.Grace:
		return RotationRepeated
	}
	g.Revoked = true // RFC 9700 §4.14.2: a reused refresh token ends its family
	return RotationReused
}

// denialSlack is for a token that was minted in the moment after.
const denialSlack = time.Hour

// Denial is what kills the access tokens of a grant that is revoked now: it outlives them all.
func (g *Grant) Denial(actor Actor, now time.Time) Denial {
	return Denial{Kind: DenyGrant, ID: g.ID, Expires: now.Add(MaxTokenLife + denialSlack).Unix(), Actor: actor.String()}
}

// Kinds of [Actor] for grants that the store revokes by rule; the id is the client's. They are audited, other than what a client does itself.
const (
	actorCodeReuse    = "code-reuse"
	actorRefreshReuse = "refresh-reuse"
)

// CodeReuse is who revokes the grant of a code that is redeemed twice (RFC 6749 §4.1.2).
func CodeReuse(client string) Actor { return Actor{Kind: actorCodeReuse, ID: client} }

// RefreshReuse is who revokes the grant of a refresh token that is used twice (RFC 9700 §4.14.2).
func RefreshReuse(client string) Actor { return Actor{Kind: actorRefreshReuse, ID: client} }

// AuditConsent is the audit row of a consent that was withdrawn. Its object is "consent", the user's id and the client's.
func AuditConsent(at time.Time, actor Actor, before *Consent) Audit {
	return Audit{
		At: at, Actor: actor.String(), Action: "consent.withdraw",
		Object: "consent " + before.User.String() + " " + before.Client, Before: mustJSON(before),
	}
}
