package manifests

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// kinds are those that we write. An object of another kind is a fault.
var kinds = map[string]func() meta.Object{
	"v1/Namespace":                            func() meta.Object { return new(core.Namespace) },
	"v1/ConfigMap":                            func() meta.Object { return new(core.ConfigMap) },
	"v1/Secret":                               func() meta.Object { return new(core.Secret) },
	"v1/Service":                              func() meta.Object { return new(core.Service) },
	"apps/v1/Deployment":                      func() meta.Object { return new(apps.Deployment) },
	"apps/v1/StatefulSet":                     func() meta.Object { return new(apps.StatefulSet) },
	"batch/v1/Job":                            func() meta.Object { return new(batch.Job) },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() meta.Object { return new(autoscaling.HorizontalPodAutoscaler) },
	"policy/v1/PodDisruptionBudget":           func() meta.Object { return new(policy.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy":      func() meta.Object { return new(networking.NetworkPolicy) },
	"networking.k8s.io/v1/Ingress":            func() meta.Object { return new(networking.Ingress) },
	"monitoring.coreos.com/v1/ServiceMonitor": func() meta.Object { return new(serviceMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() meta.Object { return new(prometheusRule) },
}

// serviceMonitor is what we use of the Prometheus operator's kind.
type serviceMonitor struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		JobLabel  string             `json:"jobLabel"`
		Selector  meta.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// prometheusRule is likewise. Its spec is a file of rules as Prometheus reads it.
type prometheusRule struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            ruleFile `json:"spec"`
}

type ruleFile struct {
	Groups []ruleGroup `json:"groups"`
}

type ruleGroup struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []struct {
		Record        string            `json:"record,omitempty"`
		Alert         string            `json:"alert,omitempty"`
		Expr          string            `json:"expr"`
		For           string            `json:"for,omitempty"`
		KeepFiringFor string            `json:"keep_firing_for,omitempty"`
		Labels        map[string]string `json:"labels,omitempty"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	} `json:"rules"`
}

// An object is one of a rendering: raw as written, and as its kind.
type object struct {
	kind string
	raw  map[string]any
	as   meta.Object
}

// decode reads YAML documents. Unknown and repeated fields, and other cases of letters, are faults.
func decode(t *testing.T, text []byte) []object {
	t.Helper()
	var all []object
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var raw map[string]any
		if err := yaml.UnmarshalStrict(document, &raw); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if raw != nil {
			all = append(all, decodeObject(t, raw, document))
		}
	}
	return all
}

func decodeObject(t *testing.T, raw map[string]any, document []byte) object {
	t.Helper()
	kind := fmt.Sprintf("%v/%v", raw["apiVersion"], raw["kind"])
	make, known := kinds[kind]
	if !known {
		t.Fatalf("%s is no kind of ours:\n%s", kind, document)
	}
	o := object{kind[strings.LastIndex(kind, "/")+1:], raw, make()}
	if err := decodeStrictly(document, o.as); err != nil {
		t.Fatalf("%s %s: %v", kind, o.as.GetName(), err)
	}
	return o
}

func decodeStrictly(text []byte, into any) error {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	faults, err := json.UnmarshalStrict(asJSON, into)
	if err == nil && len(faults) > 0 {
		err = faults[0]
	}
	return err
}

// Who weakens decode sees it here.
func TestDecodeIsStrict(t *testing.T) {
	for _, text := range []string{
		"{apiVersion: apps/v1, kind: Deployment, spec: {replica: 1}}",
		"{apiVersion: apps/v1, kind: Deployment, spec: {Replicas: 1}}",
		"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, replicas: 2}}",
		"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: one}}",
		"{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, spec: {endpoint: []}}",
	} {
		if err := decodeStrictly([]byte(text), kinds[kindOf(t, text)]()); err == nil {
			t.Errorf("%s: got no fault", text)
		}
	}
}

func kindOf(t *testing.T, text string) string {
	t.Helper()
	var head meta.TypeMeta
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatal(err)
	}
	return head.APIVersion + "/" + head.Kind
}
