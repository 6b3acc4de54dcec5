package doctor

import (
	"fmt"
	"time"

	"oauth2-server/store"
)

// tables runs a check on every table.
func tables(f *Facts, look func(t *store.Table) *Finding) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		var found []Finding
		for i := range s.Tables {
			if one := look(&s.Tables[i]); one != nil {
				found = append(found, *one)
			}
		}
		return found
	})
}

func bloat(f *Facts) []Finding {
	return tables(f, func(t *store.Table) *Finding {
		if t.Bytes < deadLarge || share(t.Dead, t.Rows+t.Dead) < deadShare {
			return nil
		}
		vacuumed := "never vacuumed"
		if !t.Vacuumed.IsZero() {
			vacuumed = "last vacuumed " + t.Vacuumed.UTC().Format(time.DateTime)
		}
		return &Finding{
			ID: "storage.bloat", Severity: Warning, Evidence: fmt.Sprintf("%s has %d dead rows beside %d, %s, %s", t.Name, t.Dead, t.Rows, size(t.Bytes), vacuumed),
			Cause: "autovacuum does not keep up, is off, or an old transaction holds it up: the table grows though its rows do not", Fix: "psql -c 'vacuum (verbose) " + word(t.Name, "TABLE") + "'", Runbook: "#storage-full",
		}
	})
}

func indexBloat(f *Facts) []Finding {
	return tables(f, func(t *store.Table) *Finding {
		if t.Indexes < indexLarge || t.Indexes < indexTimes*t.Bytes {
			return nil
		}
		return &Finding{
			ID: "storage.index_bloat", Severity: Warning, Evidence: fmt.Sprintf("the indexes of %s take %s, its rows %s", t.Name, size(t.Indexes), size(t.Bytes)),
			Cause: "pages of the indexes are mostly empty after many rows went: each look-up reads more of them than it has to",
			Fix:   "psql -c 'reindex table concurrently " + word(t.Name, "TABLE") + "'", Runbook: "#storage-full",
		}
	})
}

// freePages: SQLite uses them again before the file grows, so that nothing is lost but the space on disk.
func freePages(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.File == nil || s.File.Free*s.File.PageSize < freeLarge || share(s.File.Free, s.File.Pages) < freeShare {
			return nil
		}
		return one(Finding{
			ID: "storage.free_pages", Severity: Info, Evidence: fmt.Sprintf("%s of %s of the file are empty", size(s.File.Free*s.File.PageSize), size(s.Bytes)),
			Cause: "rows were removed; the space is used again before the file grows", Fix: "stop the server, then: sqlite3 " + word(s.File.Path, "FILE") + " vacuum", Runbook: "#storage-full",
		})
	})
}

func walLargeFile(f *Facts) []Finding {
	return inspected(f, func(s *store.Inspection) []Finding {
		if s.File == nil || s.File.WAL < walLarge {
			return nil
		}
		return one(Finding{
			ID: "storage.wal", Severity: Warning, Evidence: fmt.Sprintf("the log beside the file has %s", size(s.File.WAL)),
			Cause: "another program has been reading the file for long: the log cannot be taken over into it", Fix: "end what else has the file open: fuser " + word(s.File.Path, "FILE"), Runbook: "#storage-full",
		})
	})
}
