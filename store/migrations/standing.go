package migrations

import "oauth2-server/store"

// Standing is how a history stands against the known steps, for the doctor. Unlike [Compare] it has an answer for each.
func Standing(known []Migration, applied []Applied) store.Schema {
	var s store.Schema
	if len(known) > 0 {
		s.Known = known[len(known)-1].Version
	}
	_, s.Applied, _ = byVersion(applied) // what is wrong with it Compare says
	all, err := Compare(known, applied)
	if err != nil {
		s.Refusal = err.Error()
	}
	for _, step := range all {
		switch step.State {
		case StatePending:
			s.Pending = append(s.Pending, step.Script)
		case StateNewer:
			s.Newer = append(s.Newer, step.Script)
		}
	}
	return s
}
