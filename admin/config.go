package admin

import "slices"

func configRoutes() []route {
	return []route{
		on("GET", "/admin/api/config", "The configuration in effect, secrets masked", showConfig),
	}
}

// A Setting is a variable of the configuration with its value in effect, as it may be shown.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value" doc:"secrets are masked"`
	Given bool   `json:"given" doc:"or it is the default"`
}

type settingList struct {
	Items []Setting `json:"items"`
}

func showConfig(s *Server, _ *call, _ *struct{}) (settingList, error) {
	return settingList{slices.Clone(s.Settings())}, nil
}
