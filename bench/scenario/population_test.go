package scenario

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func numbered(prefix string, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%s-%08d-abcdefgh", prefix, i)
	}
	return texts
}

func TestDrawsKeepTheirShares(t *testing.T) {
	p := &population{live: numbered("live", 10_000), revoked: numbered("revoked", 100), expired: numbered("expired", 100)}
	d, counts := p.draw(1), map[string]int{}
	const draws = 100_000
	for range draws {
		token, active := d.next()
		kind := "garbage"
		for name, tokens := range map[string][]string{"live": p.live, "revoked": p.revoked, "expired": p.expired} {
			if _, found := slices.BinarySearch(tokens, token); found {
				kind = name
			}
		}
		if active != (kind == "live") {
			t.Fatalf("a %s token must be active: %v", kind, active)
		}
		counts[kind]++
	}
	for kind, percent := range map[string]float64{"live": 80, "garbage": 10, "revoked": 5, "expired": 5} {
		if got := 100 * float64(counts[kind]) / draws; math.Abs(got-percent) > 0.5 {
			t.Errorf("%s: got %.2f %%, want %v %%", kind, got, percent)
		}
	}
}

func TestFewTokensMakeMostDraws(t *testing.T) {
	p := &population{live: numbered("live", 100_000)}
	d, first, all := p.draw(2), 0, 0
	seen := map[string]bool{}
	for range 50_000 {
		token, active := d.next()
		if !active {
			continue
		}
		all++
		seen[token] = true
		if token == p.live[0] {
			first++
		}
	}
	if share := float64(first) / float64(all); share < 0.1 || share > 0.15 {
		t.Errorf("the most used token gets %.3f of the requests, want one in eight", share)
	}
	if len(seen) < 1000 || len(seen) > all/2 {
		t.Errorf("%d requests were about %d tokens: neither all the same nor all different", all, len(seen))
	}
}

func TestDrawsAreTheSameInEveryRunAndDifferByWorker(t *testing.T) {
	p := &population{live: numbered("live", 1000)}
	series := func(worker int) (all []string) {
		for d := p.draw(worker); len(all) < 100; {
			token, _ := d.next()
			all = append(all, token)
		}
		return all
	}
	if !slices.Equal(series(1), series(1)) {
		t.Error("one worker draws otherwise the second time")
	}
	if slices.Equal(series(1), series(2)) {
		t.Error("two workers draw the same")
	}
}

func TestGarbageLooksLikeATokenAndIsNone(t *testing.T) {
	r := seeded(3)
	for _, token := range []string{"oat_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", "a.b.c", "xyz"} {
		for range 1000 {
			got := garble(token, r)
			if got == token || len(got) != len(token) {
				t.Fatalf("garble(%q) = %q", token, got)
			}
		}
	}
}
