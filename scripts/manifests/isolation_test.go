package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// opened is what each policy lets in, by port, and where it lets out. What is not here is denied.
var opened = map[string][]string{
	"default-deny": nil,
	"oauth2-server": {
		"in public: namespaces oauth2-server/public=true",
		"in admin: namespaces oauth2-server/operators=true, pods oauth2-server/operators=true, namespaces oauth2-server/monitoring=true",
		"out 53/UDP 53/TCP 5432 6379 443",
	},
	"flyway-migration": {"out 53/UDP 53/TCP 5432"},
	"postgres":         {"in postgres: pods app=oauth2-server, pods app=flyway-migration"},
	"redis":            {"in redis: pods app=oauth2-server"},
}

// Nothing goes in or out of the pods but what is listed, and an overlay denies it to all pods of its namespace.
func TestOnlyWhatIsNamedIsOpen(t *testing.T) {
	for _, r := range renderings(t) {
		var names []string
		for _, n := range of[*networking.NetworkPolicy](r) {
			names = append(names, n.Name)
			want, known := opened[n.Name]
			if r.name == "chart, everything" {
				want = strings.Split(strings.ReplaceAll(strings.Join(want, "\n"), "5432 6379 443", "5432 6379 443 26379 6432"), "\n")
				if n.Name == "flyway-migration" {
					want = []string{"out 53/UDP 53/TCP 5432 26379 6432"}
				}
			}
			if got := rules(n); !known || !slices.Equal(got, want) {
				t.Errorf("%s: NetworkPolicy %s opens\n%q, want\n%q", r.name, n.Name, got, want)
			}
			if both := []networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress}; !slices.Equal(n.Spec.PolicyTypes, both) {
				t.Errorf("%s: NetworkPolicy %s denies %v only", r.name, n.Name, n.Spec.PolicyTypes)
			}
			if everyPod := selectorOf(t, &n.Spec.PodSelector).Empty(); everyPod != (n.Name == "default-deny") {
				t.Errorf("%s: NetworkPolicy %s is about every pod: %t", r.name, n.Name, everyPod)
			}
		}
		if isOverlay := !strings.HasPrefix(r.name, "chart"); slices.Contains(names, "default-deny") != isOverlay {
			t.Errorf("%s: has the policies %q", r.name, names)
		}
		if r.name != "chart, open network" && (!slices.Contains(names, "oauth2-server") || !slices.Contains(names, "flyway-migration")) {
			t.Errorf("%s: has the policies %q", r.name, names)
		}
	}
}

// rules is what a policy opens, in words.
func rules(n *networking.NetworkPolicy) (all []string) {
	for _, in := range n.Spec.Ingress {
		all = append(all, "in "+portsOf(in.Ports)+": "+peers(in.From))
	}
	for _, out := range n.Spec.Egress {
		text := "out " + portsOf(out.Ports)
		if len(out.To) > 0 {
			text += ": " + peers(out.To)
		}
		all = append(all, text)
	}
	return all
}

func portsOf(ports []networking.NetworkPolicyPort) string {
	var all []string
	for _, p := range ports {
		text := p.Port.String()
		if p.Protocol != nil {
			text += "/" + string(*p.Protocol)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func peers(peers []networking.NetworkPolicyPeer) string {
	if len(peers) == 0 {
		return "anybody"
	}
	var all []string
	for _, p := range peers {
		switch {
		case p.IPBlock != nil || (p.NamespaceSelector != nil) == (p.PodSelector != nil):
			all = append(all, fmt.Sprintf("%+v", p))
		case p.NamespaceSelector != nil:
			all = append(all, "namespaces "+meta.FormatLabelSelector(p.NamespaceSelector))
		default:
			all = append(all, "pods "+meta.FormatLabelSelector(p.PodSelector))
		}
	}
	return strings.Join(all, ", ")
}
