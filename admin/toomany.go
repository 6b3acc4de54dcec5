package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"oauth2-server/cache/limits"
)

// tooManyAttempts is the refusal of a limit, with the headers that the public listener's have.
func tooManyAttempts(v *limits.Verdict, now time.Time) *problem {
	retry := max(wholeSeconds(v.Retry), 1)
	p := refuse(http.StatusTooManyRequests, "too many attempts to sign in: try again in %d seconds", retry).
		with("Retry-After", strconv.FormatInt(retry, 10))
	if v.Rule == nil {
		return p
	}
	remaining, reset := max(v.Remaining, 0), max(wholeSeconds(v.Reset), retry)
	p = p.with("X-RateLimit-Limit", strconv.FormatInt(v.Rule.Limit, 10)).
		with("X-RateLimit-Remaining", strconv.FormatInt(remaining, 10)).
		with("X-RateLimit-Reset", strconv.FormatInt(now.Unix()+reset, 10))
	// Their names are spelt as the draft does; a program reads them in any case.
	p.header["RateLimit-Policy"] = []string{v.Rule.Header}
	p.header["RateLimit"] = []string{fmt.Sprintf("%q;r=%d;t=%d", v.Rule.Name, remaining, reset)}
	return p
}

// wholeSeconds rounds up: who waits so long has waited long enough.
func wholeSeconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }
