package manifests

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	deployDir = "../../deploy"
	chartDir  = deployDir + "/helm/oauth2-server"
	namespace = "oauth2-server"
)

// A rendering is what one overlay, or the chart with some values, makes.
type rendering struct {
	name    string
	objects []object
}

// everything switches on all that the chart can do.
const everything = `
bundled: {enabled: true}
config: {OAUTH2_SERVER_TRUST_PROXY_HEADERS: "true", OAUTH2_TRUSTED_PROXIES: 10.0.0.0/8}
egressPorts: [26379, 6432]
ingress: {enabled: true, className: nginx, annotations: {cert-manager.io/cluster-issuer: letsencrypt}}
monitoring: {enabled: true, labels: {release: prometheus}}
image: {repository: registry.example.com/oauth2-server, tag: 1.2.3, pullSecrets: [registry]}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: dedicated, operator: Exists}]
`

// renderings are all overlays, and the chart in its forms, each with a Secret as secrets.sh makes it.
func renderings(t *testing.T) []rendering {
	t.Helper()
	overlays := copyKustomize(t)
	all := []rendering{}
	for _, name := range []string{"dev", "staging", "production"} {
		all = append(all, rendering{name, kustomize(t, filepath.Join(overlays, "overlays", name))})
	}
	secret := slices.IndexFunc(all[0].objects, func(o object) bool { return o.kind == "Secret" })
	if secret < 0 {
		t.Fatal("the overlay dev has no Secret")
	}
	for name, values := range map[string]string{
		"chart": "", "chart, everything": everything, "chart, no Redis": "redis: false", "chart, open network": "networkPolicy: {enabled: false}",
	} {
		all = append(all, rendering{name, append(renderChart(t, values), all[0].objects[secret])})
	}
	return all
}

// copyKustomize copies deploy/kustomize and makes the secrets of each overlay there.
func copyKustomize(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(deployDir+"/kustomize")); err != nil {
		t.Fatal(err)
	}
	for _, overlay := range []string{"dev", "staging", "production"} {
		_ = os.Remove(filepath.Join(dir, "overlays", overlay, "secrets.env")) // of whoever works here
		shell(t, dir, "./secrets.sh "+overlay)
	}
	return dir
}

// shell runs a script in a folder.
func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, output)
	}
}

// kustomize builds a folder.
func kustomize(t *testing.T, dir string) []object {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

// renderChart renders the chart as helm template does.
func renderChart(t *testing.T, values string) []object {
	t.Helper()
	files, err := chartFiles(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			all = append(all, decode(t, []byte(files[name]))...)
		}
	}
	return all
}

func chartFiles(ctx context.Context, values string) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	var given map[string]any
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "any", Namespace: namespace, IsInstall: true}
	all, err := util.ToRenderValues(chart, given, release, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(ctx, chart, all)
}

// of is the objects of a kind.
func of[T any](r rendering) []T {
	var all []T
	for _, o := range r.objects {
		if typed, ok := o.as.(T); ok {
			all = append(all, typed)
		}
	}
	return all
}
