package manifests

import (
	"slices"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The names that the runbook's lines rely on, in each overlay and in the chart.
func TestNamesAreTheRunbooks(t *testing.T) {
	always := []string{
		"ConfigMap oauth2-server-config", "Deployment oauth2-server", "HorizontalPodAutoscaler oauth2-server", "Job flyway-migration",
		"PodDisruptionBudget oauth2-server", "Secret oauth2-server-secret", "Service oauth2-server", "Service oauth2-server-admin",
	}
	bundled := []string{"StatefulSet postgres", "Service postgres", "Deployment redis", "Service redis"}
	for _, r := range renderings(t) {
		want := always
		if slices.Contains([]string{"dev", "staging", "chart, everything"}, r.name) {
			want = slices.Concat(always, bundled)
		}
		var got []string
		for _, o := range r.objects {
			got = append(got, o.kind+" "+o.as.GetName())
			if space := o.as.GetNamespace(); space != "" && space != namespace {
				t.Errorf("%s: %s %s is in the namespace %s", r.name, o.kind, o.as.GetName(), space)
			}
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%s: there is no %s", r.name, name)
			}
		}
	}
}

// Each selector selects the pods it is meant for, and no others.
func TestSelectorsSelect(t *testing.T) {
	for _, r := range renderings(t) {
		f := func(what string, selector labels.Selector, want ...string) {
			t.Helper()
			if got := selected(r, selector); !slices.Equal(got, want) {
				t.Errorf("%s: %s selects %q, want %q", r.name, what, got, want)
			}
		}
		for _, d := range of[*apps.Deployment](r) {
			f("Deployment "+d.Name, selectorOf(t, d.Spec.Selector), "Deployment "+d.Name)
		}
		for _, s := range of[*apps.StatefulSet](r) {
			f("StatefulSet "+s.Name, selectorOf(t, s.Spec.Selector), "StatefulSet "+s.Name)
		}
		owner := map[string]string{
			"oauth2-server": "Deployment oauth2-server", "oauth2-server-admin": "Deployment oauth2-server",
			"postgres": "StatefulSet postgres", "redis": "Deployment redis", "flyway-migration": "Job flyway-migration",
		}
		for _, s := range of[*core.Service](r) {
			f("Service "+s.Name, labels.SelectorFromSet(s.Spec.Selector), owner[s.Name])
		}
		for _, b := range of[*policy.PodDisruptionBudget](r) {
			f("PodDisruptionBudget "+b.Name, selectorOf(t, b.Spec.Selector), owner[b.Name])
		}
		for _, n := range of[*networking.NetworkPolicy](r) {
			if n.Name != "default-deny" {
				f("NetworkPolicy "+n.Name, selectorOf(t, &n.Spec.PodSelector), owner[n.Name])
			}
		}
		for _, d := range of[*apps.Deployment](r) {
			for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
				f("spread of "+d.Name, selectorOf(t, spread.LabelSelector), "Deployment "+d.Name)
			}
		}
	}
}

func selectorOf(t *testing.T, s *meta.LabelSelector) labels.Selector {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector
}

func selected(r rendering, selector labels.Selector) (owners []string) {
	for _, p := range pods(r) {
		if selector.Matches(labels.Set(p.Labels)) {
			owners = append(owners, p.of)
		}
	}
	return owners
}

// A port that a Service, a NetworkPolicy or a probe names is one of the pod's.
func TestPortsMatch(t *testing.T) {
	for _, r := range renderings(t) {
		f := func(what string, selector labels.Selector, port intstr.IntOrString) {
			t.Helper()
			for _, p := range pods(r) {
				if selector.Matches(labels.Set(p.Labels)) && !slices.ContainsFunc(ports(p), func(c core.ContainerPort) bool { return port.StrVal == c.Name }) {
					t.Errorf("%s: %s: %s has no port %s", r.name, what, p.of, port.String())
				}
			}
		}
		for _, s := range of[*core.Service](r) {
			for _, port := range s.Spec.Ports {
				f("Service "+s.Name, labels.SelectorFromSet(s.Spec.Selector), port.TargetPort)
			}
		}
		for _, n := range of[*networking.NetworkPolicy](r) {
			for _, rule := range n.Spec.Ingress {
				for _, port := range rule.Ports {
					f("NetworkPolicy "+n.Name, selectorOf(t, &n.Spec.PodSelector), *port.Port)
				}
			}
		}
		for _, p := range pods(r) {
			for _, probe := range probes(p) {
				f("probe of "+p.of, labels.SelectorFromSet(p.Labels), probe)
			}
		}
	}
}

func ports(p pod) (all []core.ContainerPort) {
	for _, c := range p.Spec.Containers {
		all = append(all, c.Ports...)
	}
	return all
}

// probes are the ports that a pod's probes ask.
func probes(p pod) (all []intstr.IntOrString) {
	for _, c := range p.Spec.Containers {
		for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			switch {
			case probe == nil:
			case probe.HTTPGet != nil:
				all = append(all, probe.HTTPGet.Port)
			case probe.TCPSocket != nil:
				all = append(all, probe.TCPSocket.Port)
			}
		}
	}
	return all
}

// What leads to a Service or a Deployment leads to one that is there, and the operators' listener is not on the public one.
func TestTargetsExist(t *testing.T) {
	for _, r := range renderings(t) {
		servicePorts := map[string]string{} // "name port" → the pod's port
		for _, s := range of[*core.Service](r) {
			for _, port := range s.Spec.Ports {
				servicePorts[s.Name+" "+port.Name] = port.TargetPort.StrVal
			}
		}
		if servicePorts["oauth2-server public"] != "public" || servicePorts["oauth2-server admin"] != "" || servicePorts["oauth2-server-admin admin"] != "admin" {
			t.Errorf("%s: the two listeners are not apart: %v", r.name, servicePorts)
		}
		for _, i := range of[*networking.Ingress](r) {
			for _, path := range i.Spec.Rules[0].HTTP.Paths {
				if b := path.Backend.Service; servicePorts[b.Name+" "+b.Port.Name] != "public" {
					t.Errorf("%s: Ingress path %s leads to %s %s", r.name, path.Path, b.Name, b.Port.Name)
				}
			}
		}
		for _, h := range of[*autoscaling.HorizontalPodAutoscaler](r) {
			isTarget := func(d *apps.Deployment) bool { return d.Name == h.Spec.ScaleTargetRef.Name && d.Spec.Replicas == nil }
			if !slices.ContainsFunc(of[*apps.Deployment](r), isTarget) {
				t.Errorf("%s: the autoscaler's Deployment is not there, or has a number of replicas of its own", r.name)
			}
		}
		for _, m := range of[*serviceMonitor](r) {
			for _, endpoint := range m.Spec.Endpoints {
				monitored := func(s *core.Service) bool {
					return selectorOf(t, &m.Spec.Selector).Matches(labels.Set(s.Labels)) && servicePorts[s.Name+" "+endpoint.Port] == "admin"
				}
				if !slices.ContainsFunc(of[*core.Service](r), monitored) {
					t.Errorf("%s: no Service of the ServiceMonitor has a port %s", r.name, endpoint.Port)
				}
			}
		}
	}
}
