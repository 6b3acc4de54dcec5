package doctor

import (
	"errors"
	"fmt"
	"slices"

	"oauth2-server/store"
)

// WayFault is nil if one of the hosts can be reached all the way; else it is the fault of the one that came furthest.
func WayFault(way []store.Reach) *Fault {
	furthest := -1
	for i, r := range way {
		if r.Step == "" {
			return nil
		}
		if furthest < 0 || slices.Index(store.Steps[:], r.Step) > slices.Index(store.Steps[:], way[furthest].Step) {
			furthest = i
		}
	}
	if furthest < 0 {
		return nil
	}
	return &Fault{Step: way[furthest].Step, Text: way[furthest].Host + ": " + way[furthest].Text}
}

// FaultOf is the step at which an error of the store arose; nil for none.
func FaultOf(err error) *Fault {
	if err == nil {
		return nil
	}
	step := store.StepQuery
	if fault, ok := errors.AsType[*store.Fault](err); ok {
		step = fault.Part
	}
	return &Fault{Step: step, Text: err.Error()}
}

// A mend is why a step of a way fails, and what to do.
type mend struct{ cause, fix string }

func databaseMends(do *commands) map[string]mend {
	return map[string]mend{
		store.StepFile: {"the file in OAUTH2_DATABASE_URL cannot be opened, or is no database of SQLite", "ls -l FILE; it and its folder must be writable for the user of the server"},
		store.StepName: {"the host name in OAUTH2_DATABASE_URL cannot be resolved: it is misspelt, or the resolver does not answer", do.postgresName},
		store.StepTCP:  {"nothing listens at the database's address, or a firewall drops the way there", do.postgresState},
		store.StepTLS:  {"the database's certificate is not trusted or not for that name, or it speaks no TLS although sslmode wants it", "set sslmode and sslrootcert in OAUTH2_DATABASE_URL as the database has them"},
		store.StepAuthentication: {
			"the database refuses the user or the password of OAUTH2_DATABASE_URL", "set the password that the database has in OAUTH2_DATABASE_URL: deploy/runbook.md#rotate-the-database-password",
		},
		store.StepConnections: {"all of the database's connections are taken", do.psql + " -c \"select application_name, state, count(*) from pg_stat_activity group by 1, 2 order by 3 desc\""},
		store.StepPrimary:     {"the host is a standby: no other host of OAUTH2_DATABASE_URL is a primary", "promote the standby, or name the primary in OAUTH2_DATABASE_URL"},
		store.StepDatabase:    {"the database that OAUTH2_DATABASE_URL names does not exist", "createdb --owner oauth2_user oauth2 (as a superuser of Postgres, with the names of OAUTH2_DATABASE_URL); oauth2-server migrate"},
		store.StepSchema:      {"a table of ours does not exist, or is older than this binary", "oauth2-server migrate"},
		store.StepQuery:       {"the database accepts connections and does not answer as it should: it hangs, starts, or has no time", do.postgresLog},
	}
}

func redisMends(do *commands) map[string]mend {
	return map[string]mend{
		store.StepName:           {"the host name in OAUTH2_REDIS_URL cannot be resolved: it is misspelt, or the resolver does not answer", do.redisName},
		store.StepTCP:            {"nothing listens at Redis' address, or a firewall drops the way there", do.redisState},
		store.StepTLS:            {"Redis' certificate is not trusted or not for that name, or it speaks no TLS although rediss:// wants it", "use redis:// or rediss:// in OAUTH2_REDIS_URL as Redis has it"},
		store.StepAuthentication: {"Redis refuses the user or the password of OAUTH2_REDIS_URL", "set the password that Redis has in OAUTH2_REDIS_URL, and restart the replicas"},
		store.StepQuery:          {"Redis accepts connections and does not answer a PING as it should: it hangs, loads its data, or another program has its port", do.redisLog},
	}
}

func databaseUnreachable(f *Facts) []Finding {
	if f.DatabaseFault == nil {
		return nil
	}
	why, ok := databaseMends(f.commands(nil))[f.DatabaseFault.Step]
	if !ok {
		why = databaseMends(f.commands(nil))[store.StepQuery]
	}
	return one(Finding{
		ID: "database.unreachable", Severity: Critical, Evidence: "the way to the database fails at the step " + f.DatabaseFault.String(),
		Cause: why.cause, Fix: why.fix, Runbook: "#readiness-failing",
	})
}

// databaseHosts tells of hosts that fail while another serves: the next failover has nowhere to go. A standby is as it should be.
func databaseHosts(f *Facts) []Finding {
	if f.DatabaseFault != nil || WayFault(f.DatabaseWay) != nil {
		return nil
	}
	var found []Finding
	for _, r := range f.DatabaseWay {
		if r.Step == "" || r.Step == store.StepPrimary {
			continue
		}
		why := databaseMends(f.commands(nil))[r.Step]
		found = append(found, Finding{
			ID: "database.host", Severity: Warning, Evidence: fmt.Sprintf("%s fails at the step %s: %s; another host serves", r.Host, r.Step, r.Text),
			Cause: why.cause, Fix: why.fix, Runbook: "#readiness-failing",
		})
	}
	return found
}

func redisUnreachable(f *Facts) []Finding {
	if f.RedisFault == nil {
		return nil
	}
	why, ok := redisMends(f.commands(nil))[f.RedisFault.Step]
	if !ok {
		why = redisMends(f.commands(nil))[store.StepQuery]
	}
	return one(Finding{
		ID: "redis.unreachable", Scenario: Health, Severity: Warning, Evidence: "the way to Redis fails at the step " + f.RedisFault.String(),
		Cause: why.cause + "; without Redis look-ups go to the database and each replica counts limits alone", Fix: why.fix, Runbook: "#readiness-failing",
	})
}

func redisHosts(f *Facts) []Finding {
	if f.RedisFault != nil || WayFault(f.RedisWay) != nil {
		return nil
	}
	var found []Finding
	for _, r := range f.RedisWay {
		if r.Step == "" {
			continue
		}
		why := redisMends(f.commands(nil))[r.Step]
		found = append(found, Finding{
			ID: "redis.host", Scenario: Health, Severity: Warning, Evidence: fmt.Sprintf("%s fails at the step %s: %s; another one answers", r.Host, r.Step, r.Text),
			Cause: why.cause, Fix: why.fix, Runbook: "#readiness-failing",
		})
	}
	return found
}
