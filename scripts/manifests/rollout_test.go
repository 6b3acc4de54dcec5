package manifests

import (
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Replicas lie on several machines and zones where there are such, and of them one at a time is taken away: by a drain, and by a rollout
// none before its successor is ready.
func TestReplicasAreApart(t *testing.T) {
	for _, r := range renderings(t) {
		for _, d := range of[*apps.Deployment](r) {
			if d.Name != "oauth2-server" {
				continue
			}
			var over []string
			for _, s := range d.Spec.Template.Spec.TopologySpreadConstraints {
				over = append(over, s.TopologyKey)
				if s.MaxSkew != 1 || s.WhenUnsatisfiable != core.ScheduleAnyway || !slices.Equal(s.MatchLabelKeys, []string{"pod-template-hash"}) {
					t.Errorf("%s: got the spread %+v", r.name, s)
				}
			}
			if want := []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}; !slices.Equal(over, want) {
				t.Errorf("%s: replicas are spread over %q, want %q", r.name, over, want)
			}
			if u := d.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable == nil || u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() < 1 {
				t.Errorf("%s: a rollout takes away what is ready: %+v", r.name, u)
			}
		}
		budgets := of[*policy.PodDisruptionBudget](r)
		if len(budgets) != 1 || budgets[0].Spec.MinAvailable != nil || budgets[0].Spec.MaxUnavailable == nil || *budgets[0].Spec.MaxUnavailable != intstr.FromInt32(1) {
			t.Errorf("%s: a drain takes away other than one replica: %+v", r.name, budgets)
		}
		for _, h := range of[*autoscaling.HorizontalPodAutoscaler](r) {
			if r.name != "dev" && (h.Spec.MinReplicas == nil || *h.Spec.MinReplicas < 2) {
				t.Errorf("%s: there may be a single replica", r.name)
			}
		}
	}
}

// The chart's migration runs before a new version is rolled out, and before the first one unless the database comes with the chart; the Job
// of the last time, which cannot be changed, goes before. Kustomize has no order: there a new version waits until the schema is its own.
func TestChartMigratesFirst(t *testing.T) {
	for values, want := range map[string]string{"": "pre-install,pre-upgrade", "bundled: {enabled: true}": "post-install,pre-upgrade"} {
		for _, o := range renderChart(t, values) {
			if o.kind != "Job" {
				continue
			}
			if a := o.as.GetAnnotations(); a["helm.sh/hook"] != want || a["helm.sh/hook-delete-policy"] != "before-hook-creation" {
				t.Errorf("%q: Job %s has the hooks %v, want %s", values, o.as.GetName(), a, want)
			}
		}
	}
}

// Helm keeps a copy of what a chart makes in every release: no secret is among it.
func TestChartMakesNoSecret(t *testing.T) {
	for _, values := range []string{"", everything} {
		for _, o := range renderChart(t, values) {
			if o.kind == "Secret" {
				t.Errorf("the chart makes the Secret %s", o.as.GetName())
			}
		}
	}
}

// Each health check of Compose asks what it is for, and nobody is root.
func TestComposeChecksHealth(t *testing.T) {
	want := map[string]string{
		"oauth2-server": "CMD /oauth2-server probe /ready?for=traffic",
		"postgres":      "CMD pg_isready -h 127.0.0.1 -U oauth2_user -d oauth2",
		"redis":         "CMD redis-cli ping",
	}
	for name, s := range loadCompose(t, "compose.yaml").Services {
		if asks := want[name]; asks != "" && (s.HealthCheck == nil || strings.Join(s.HealthCheck.Test, " ") != asks) {
			t.Errorf("%s: the health check is %+v, want %s", name, s.HealthCheck, asks)
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", name, s.User)
		}
	}
}
