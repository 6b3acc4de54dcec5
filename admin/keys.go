package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"oauth2-server/hotpath/keys"
	"oauth2-server/store"
)

func keyRoutes() []route {
	return []route{
		on("GET", "/admin/api/keys", "The keys of the ring, oldest first", listKeys),
		on("POST", "/admin/api/keys/rotate", "Let the next keys sign; the active ones retire, or in an emergency end at once", rotateKeys),
	}
}

// A keyView is a key as it is shown: never its private part.
type keyView struct {
	keys.Listed
	Age   int64      `json:"age_seconds" doc:"since it was made"`
	Ready *time.Time `json:"ready,omitempty" doc:"of a next key: from when on a rotation may let it sign"`
}

type keyList struct {
	Keys []keyView `json:"keys"`
}

// readKeys lists what is stored, opened with the secrets of this replica.
func (s *Server) readKeys(ctx context.Context) (keyList, error) {
	stored, err := s.DB.Keys(ctx)
	if err != nil {
		return keyList{}, fmt.Errorf("read the key ring: %w", err)
	}
	ring := keys.NewRing(s.Secrets, s.Alg)
	_ = ring.Replace(stored) // which keys do not open the list says
	list, now := keyList{Keys: []keyView{}}, s.now()
	for _, k := range ring.List() {
		v := keyView{Listed: k, Age: int64(now.Sub(k.Created) / time.Second)}
		if k.State == store.KeyNext {
			v.Ready = new(s.rotation(k.Use).Earliest(&store.Key{Use: k.Use, Created: k.Created, Since: k.Since}))
		}
		list.Keys = append(list.Keys, v)
	}
	return list, nil
}

func (s *Server) rotation(use string) keys.Rotation {
	return keys.Rotation{Use: use, Ahead: s.PublishAhead}
}

func listKeys(s *Server, c *call, _ *struct{}) (keyList, error) { return s.readKeys(c) }

func rotateKeys(s *Server, c *call, in *struct {
	Use       string `json:"use" enum:",sign,mac" doc:"sign: of JWTs; mac: of opaque tokens; left out: both"`
	Emergency bool   `json:"emergency" doc:"a key leaked: all that the old keys made ends within a second"`
},
) (keyList, error) {
	rotation := s.rotation(in.Use)
	rotation.Emergency = in.Emergency
	_, err := keys.RotateStored(c, s.DB, c.Actor, s.Secrets, s.Alg, s.now(), rotation)
	if early, ok := errors.AsType[*keys.EarlyError](err); ok {
		return keyList{}, s.tooEarly(early)
	}
	if errors.Is(err, keys.ErrShared) {
		return keyList{}, refuse(http.StatusConflict, `the keys of HS256 are not in the ring: put a new secret before the old one in OAUTH2_JWT_SECRET; `+
			`{"use":"mac"} rotates the keys of opaque tokens`)
	}
	if err != nil {
		return keyList{}, err
	}
	return s.readKeys(c)
}

func (s *Server) tooEarly(early *keys.EarlyError) *problem {
	detail := fmt.Sprintf("the next %s key is not published long enough: a rotation may use it from %s on", early.Use, early.At.UTC().Format(time.RFC3339))
	if early.Now {
		detail += `; {"emergency":true} does not wait, but makes inactive all that the old keys made: it is for a key that leaked`
	}
	wait := max(early.At.Sub(s.now()), time.Second)
	return refuse(http.StatusConflict, "%s", detail).with("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
}
