package admin

import (
	"fmt"

	"oauth2-server/admin/doctor"
	"oauth2-server/store"
)

func doctorRoutes() []route {
	return []route{
		on("GET", "/admin/api/doctor", "What is wrong with the cluster, the worst first; what was seen may be up to 5 seconds old", diagnose),
	}
}

// diagnose answers 200 whatever is found: the question was answered.
func diagnose(s *Server, c *call, in *struct {
	Scenarios []string `query:"scenario" default:"all" enum:"all,health,latency,deploy,database,tokens,storage,memory,limits,login,keys" doc:"may be given more than once; all stands alone"`
},
) (doctor.Report, error) {
	if !doctor.Known(in.Scenarios) {
		return doctor.Report{}, &store.FieldError{Field: "scenario", Problem: "all stands alone"}
	}
	facts, err := s.diagnosis.Facts(c, s.Gather)
	if err != nil {
		return doctor.Report{}, fmt.Errorf("look at the cluster: %w: %w", store.ErrUnavailable, err)
	}
	return doctor.Judge(facts, in.Scenarios...), nil
}
