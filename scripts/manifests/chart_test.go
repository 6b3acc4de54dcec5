package manifests

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// Without values the chart is the base, with its own Postgres and Redis what the component adds, and without Redis what that component leaves; but
// for what Helm needs, and the denial for all of the namespace, which need not be the chart's alone.
func TestChartIsTheBase(t *testing.T) {
	for _, c := range []struct{ values, components string }{
		{"", ""},
		{"bundled: {enabled: true}\nmonitoring: {enabled: true}", "../components/bundled, ../components/monitoring"},
		{"redis: false", "../components/without-redis"},
	} {
		dir := filepath.Join(copyKustomize(t), "overlay")
		writeOverlay(t, dir, c.components)
		want := byName(kustomize(t, dir))
		delete(want, "Namespace oauth2-server") // is helm's --create-namespace
		delete(want, "NetworkPolicy default-deny")
		got := byName(renderChart(t, c.values))
		for name := range want {
			if got[name] == nil {
				t.Errorf("%q: the chart has no %s", c.values, name)
			}
		}
		for name := range got {
			if !reflect.DeepEqual(got[name], want[name]) {
				t.Errorf("%q: %s:\n got %s\nwant %s", c.values, name, asYAML(got[name]), asYAML(want[name]))
			}
		}
	}
}

// writeOverlay is the base with components.
func writeOverlay(t *testing.T, dir, components string) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "kustomization.yaml"), `
kind: Kustomization
apiVersion: kustomize.config.k8s.io/v1beta1
namespace: oauth2-server
resources: [../base]
components: [`+components+`]
`)
}

// byName is the objects without what only one of the two tools writes.
func byName(all []object) map[string]map[string]any {
	named := map[string]map[string]any{}
	for _, o := range all {
		meta := o.raw["metadata"].(map[string]any)
		delete(meta, "namespace")
		delete(meta, "annotations") // hooks
		if data, ok := o.raw["data"].(map[string]any); ok {
			delete(data, "OAUTH2_MIGRATE_ON_START") // the chart's migration may come after the server
		}
		walk(o.raw, func(m map[string]any) {
			delete(m, "imagePullPolicy")
			if annotations, ok := m["annotations"].(map[string]any); ok && annotations["checksum/config"] != nil {
				delete(m, "annotations")
			}
		})
		named[o.kind+" "+o.as.GetName()] = o.raw
	}
	return named
}

// walk calls f with each map of a document.
func walk(value any, f func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		f(value)
		for _, below := range value {
			walk(below, f)
		}
	case []any:
		for _, below := range value {
			walk(below, f)
		}
	}
}

func asYAML(value any) string {
	text, _ := yaml.Marshal(value) // it came from YAML
	return string(text)
}

// As helm lint --strict.
func TestChartLint(t *testing.T) {
	result := lint.RunAll(chartDir, nil, namespace)
	for _, m := range result.Messages {
		if m.Severity >= support.WarningSev {
			t.Error(m.Error())
		}
	}
}

// A value that nothing reads, one of a wrong type, and a secret among the values are refused.
func TestChartSchemaRefuses(t *testing.T) {
	for _, values := range []string{
		"replicas: 3",
		"image: {name: oauth2-server}",
		"image: {tag: latest}",
		"config: {OAUTH2_SERVER_PORT: 8080}",
		"config: {LOG_LEVEL: info}",
		"config: {OAUTH2_JWT_SECRET: 0123456789}",
		"existingSecret: ''",
		"autoscaling: {minReplicas: 0}",
		"resources: {limits: {memory: lots}}",
		"bundled: true",
		"egressPorts: ['26379']",
	} {
		if _, err := chartFiles(t.Context(), values); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: got %v, want the schema's refusal", values, err)
		}
	}
	if _, err := chartFiles(t.Context(), "config: {OAUTH2_CACHE_MIB: '64'}"); err != nil {
		t.Error(err)
	}
}

// Behind an Ingress that is not trusted, all people share its address: the chart says what to set, and the README's line sets it.
func TestChartIngressWantsProxies(t *testing.T) {
	for _, config := range []string{"{}", `{OAUTH2_TRUSTED_PROXIES: 10.0.0.0/8}`, `{OAUTH2_SERVER_TRUST_PROXY_HEADERS: "true"}`} {
		_, err := chartFiles(t.Context(), "ingress: {enabled: true}\nconfig: "+config)
		if err == nil || !strings.Contains(err.Error(), "set config.OAUTH2_TRUSTED_PROXIES") {
			t.Errorf("%s: got %v, want what to set", config, err)
		}
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	for _, flag := range regexp.MustCompile(`--set(-string)? (\S+=\S+)`).FindAllSubmatch(text, -1) {
		parse := strvals.ParseInto
		if len(flag[1]) > 0 {
			parse = strvals.ParseIntoString
		}
		if err := parse(string(flag[2]), given); err != nil {
			t.Fatal(err)
		}
	}
	files, err := chartFiles(t.Context(), asYAML(given))
	if err != nil {
		t.Fatal(err)
	}
	if files["oauth2-server/templates/ingress.yaml"] == "" {
		t.Error("the README's line makes no Ingress")
	}
}

// NOTES.txt names the Secret that the installer must have made.
func TestChartNotes(t *testing.T) {
	files, err := chartFiles(t.Context(), "existingSecret: mine")
	if err != nil {
		t.Fatal(err)
	}
	if notes := files["oauth2-server/templates/NOTES.txt"]; !strings.Contains(notes, "Its Secret is mine,") {
		t.Errorf("got %s", notes)
	}
}
