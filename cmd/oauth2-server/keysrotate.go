package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func newKeysRotate(environ []string) *cobra.Command {
	rotation, yes := keys.Rotation{}, false
	command := &cobra.Command{
		Use:   "rotate",
		Short: "Let the next keys take over from the active ones",
		Long: "Let the next keys take over from the active ones, and make new next ones. The old keys go on to verify until the\n" +
			"last token they made is dead. A signing key must have been published for OAUTH2_KEY_PUBLISH_AHEAD before.\n\n" +
			"--emergency is for a key that leaked: all that the active and retiring keys of the use made is inactive within a\n" +
			"second. The next key signs, which others know already. If it may have leaked as well, do it twice; if\n" +
			"OAUTH2_JWT_SECRET leaked, change that and run \"oauth2-server keys reset\".",
		Args: cobra.NoArgs,
	}
	command.RunE = withStore(environ, func(ctx context.Context, j *job, _ []string) error {
		if err := j.needSecrets(); err != nil {
			return err
		}
		if err := j.needAlg(ctx); err != nil {
			return err
		}
		if rotation.Emergency {
			if err := j.confirm(yes, emergencyQuestion(rotation.Use)+spaced(j.sharedNote(rotation.Use)), command.ErrOrStderr()); err != nil {
				return err
			}
		}
		rotation.Ahead = j.config.PublishAhead
		return rotateKeys(ctx, j, rotation)
	})
	command.Flags().StringVar(&rotation.Use, "use", "", "only the keys of this use: sign (JWTs) or mac (opaque tokens); both if not given")
	command.Flags().BoolVar(&rotation.Emergency, "emergency", false, "a key leaked: make inactive all that the old keys made")
	command.Flags().BoolVar(&yes, "yes", false, "confirm an emergency beforehand")
	return command
}

// needAlg makes sure that OAUTH2_JWT_ALG is that of the servers. Where it is not set here, a ring with active keys of
// another algorithm than the default says that it may be set there. Those that sign id_tokens are rotated in any case.
func (j *job) needAlg(ctx context.Context) error {
	if slices.Contains(j.config.given, "OAUTH2_JWT_ALG") {
		return nil
	}
	stored, err := j.db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the key ring: %w", err)
	}
	for _, key := range stored {
		if key.Use == store.UseSign && key.State == store.KeyActive && key.Alg != j.config.JWTAlg && !slices.Contains(keys.IDTokenAlgs(), keys.Alg(key.Alg)) {
			return fmt.Errorf("the ring has an active %s key, and OAUTH2_JWT_ALG is not set: set it as the servers have it", key.Alg)
		}
	}
	return nil
}

func emergencyQuestion(use string) string {
	made := "token"
	switch use {
	case store.UseSign:
		made = "JWT"
	case store.UseMAC:
		made = "opaque token"
	}
	return "Every " + made + " issued so far will be inactive on every replica within a second, and its client must get a new one."
}

// rotateKeys rotates the stored ring by the store's clock, which an operator's machine need not share: when the old keys
// end is counted from it. The whole state is read for that, which is all right once in a while.
func rotateKeys(ctx context.Context, j *job, rotation keys.Rotation) error {
	alg, err := keys.ParseAlg(j.config.JWTAlg)
	if err != nil {
		return err
	}
	beat, err := j.db.Load(ctx, func(*store.Change) error { return nil })
	if err != nil {
		return fmt.Errorf("read the store's clock: %w", err)
	}
	changed, err := keys.RotateStored(ctx, j.db, j.actor, j.config.secrets, alg, beat.Now, rotation)
	if err != nil {
		return fmt.Errorf("rotate the keys: %w", err)
	}
	ring := keys.NewRing(j.config.secrets, alg)
	_ = ring.Replace(changed) // a key that does not open is shown as such
	algs, note := activeAlgs(changed), j.sharedNote(rotation.Use)
	answer := map[string]any{"keys": ring.List(), "algs": algs}
	if note != "" {
		answer["note"] = note
	}
	return j.show(answer, func() string {
		return "New keys are active for " + strings.Join(algs, ", ") + ". " + rotated(rotation.Emergency) + spaced(note) + "\n\n" +
			list("", keyHead, keyRows(ring.List()))
	})
}

// activeAlgs is the algorithms of the keys that are active, each once, in order.
func activeAlgs(all []store.Key) []string {
	var algs []string
	for _, key := range all {
		if key.State == store.KeyActive {
			algs = append(algs, key.Alg)
		}
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// sharedNote says what a rotation leaves out where the servers may sign with HS256, which the store does not know: its keys are not kept. "": they do not.
func (j *job) sharedNote(use string) string {
	given := slices.Contains(j.config.given, "OAUTH2_JWT_ALG")
	const secret = "it follows from OAUTH2_JWT_SECRET: to change it, change that, to \"new,old\", or to \"new\" alone if it leaked."
	switch {
	case use == store.UseMAC || given && j.config.JWTAlg != string(keys.HS256):
		return ""
	case given:
		return "The key of HS256, which signs access tokens, is not rotated: " + secret
	}
	return "OAUTH2_JWT_ALG is not set here. If the servers have HS256, the key that signs their access tokens is not rotated: " + secret
}

// spaced is a sentence that follows another one, if there is one.
func spaced(sentence string) string {
	if sentence == "" {
		return ""
	}
	return "\n" + sentence
}

func rotated(emergency bool) string {
	if !emergency {
		return "The new keys make all new tokens; every replica follows within a second. Tokens of the old ones stay active until they expire."
	}
	return "All that the old keys made is inactive on every replica within a second. Services that verify JWTs themselves refuse\n" +
		"theirs once they have fetched the published keys anew, within 5 minutes if they heed how long those may be kept."
}

// maybe is a time for people, or nothing.
func maybe(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t)
}
