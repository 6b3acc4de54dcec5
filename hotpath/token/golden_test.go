package token

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

// What earlier versions have written: a sealed key, and what was made with it. Replicas of
// two versions run side by side, so all of it must stay readable.
const (
	goldenKey = `{"id":"019b7ca9-8c88-7d83-94c5-66eb86d26552","number":1,"use":"mac","alg":"HMAC-SHA-256","state":"active",` +
		`"seals":{"5b4de84216590abf":"JiT3e3m+rcGz1IVsXrUKtrLgoNhDt6znjFsGsqxqMMhYKcxTU/o6l+zA+6duJIZ2YHPt8r2B/HJmrbJk"},` +
		`"created":"2026-01-02T03:04:05Z"}`
	goldenAccess  = "oat_AQGJCl2slndLvM6zAgmagFdrSdIApp7M_O6EiHr6KWFDT7SORC6O"
	goldenRefresh = "ort_AQGJCl2slndLvM6zAgmagFcAAAADs_wr7o9-e-NOAOQTdOTNTzJ6"
	goldenCode    = "oac_AQGJCl2slndLvM6zAgmagFdrSdIAp9ThffJwgWTPZHv9h_HAqL-s"
	goldenPushed  = "oar_AQGJCl2slndLvM6zAgmagFdrSdIAU0Nx3iZ4-j4pa3Pc1PYWDHYo"
	goldenJWT     = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ijg0YzQ3MTc2MmJkOWU4ZTcifQ" +
		".eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoiY2xpZW50IiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsImNsaWVudF9p" +
		"ZCI6ImNsaWVudCIsInNjb3BlIjoicmVhZCB3cml0ZSIsImlhdCI6MTc2NzMyMzA0NSwiZXhwIjoxNzY3MzI2NjQ1LCJqdGkiOiIwMTg5MGE1ZC1h" +
		"Yzk2LTc3NGItYmNjZS1iMzAyMDk5YTgwNTciLCJwb3MiOjQyfQ.2Tgkrocif2DxLgJV3FLm3OOGz0f5N7FQ7YUo229SM6Q"
	goldenSealed = "0153e13c824c7f2b24c5ba7b9f90ffe6e1b9882ba46293817d9b038ad9b57be9f2bf16"
	goldenID     = "01890a5d-ac96-774b-bcce-b302099a8057"
)

// goldenRing has one MAC key and the HS256 key of secretText: the same in every process, as fuzzing needs it.
func goldenRing(t testing.TB) *keys.Ring {
	t.Helper()
	var key store.Key
	if err := json.Unmarshal([]byte(goldenKey), &key); err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(secrets(t), keys.HS256)
	if err := ring.Apply([]store.Key{key}); err != nil {
		t.Fatal(err)
	}
	return ring
}

func goldenRecord(t testing.TB) *store.Record {
	t.Helper()
	id, err := store.ParseID(goldenID)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecord()
	r.ID = id
	return r
}

func TestFormatsStayAsTheyAre(t *testing.T) {
	ring, r := goldenRing(t), goldenRecord(t)
	if got := AppendOpaque(nil, ring.MAC(1), Access, r.ID, 1_800_000_000); string(got) != goldenAccess {
		t.Errorf("got %s, want %s", got, goldenAccess)
	}
	if got := AppendRefresh(nil, ring.MAC(1), r.ID, 3); string(got) != goldenRefresh {
		t.Errorf("got %s, want %s", got, goldenRefresh)
	}
	if got := AppendOpaque(nil, ring.MAC(1), Code, r.ID, 1_800_000_000); string(got) != goldenCode {
		t.Errorf("got %s, want %s", got, goldenCode)
	}
	if got := AppendOpaque(nil, ring.MAC(1), Pushed, r.ID, 1_800_000_000); string(got) != goldenPushed {
		t.Errorf("got %s, want %s", got, goldenPushed)
	}
	if got := appendJWT(t, ring, r); string(got) != goldenJWT {
		t.Errorf("got %s, want %s", got, goldenJWT)
	}
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Open(nil, 1, r.ID, 1_800_000_000, sealed); err != nil || string(got) != "record" {
		t.Errorf("got %q, %v", got, err)
	}
}
