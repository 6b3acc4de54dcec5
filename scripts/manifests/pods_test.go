package manifests

import (
	"regexp"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
)

// A pod is a template of pods and what it belongs to.
type pod struct {
	of string
	core.PodTemplateSpec
}

func pods(r rendering) []pod {
	var all []pod
	for _, d := range of[*apps.Deployment](r) {
		all = append(all, pod{"Deployment " + d.Name, d.Spec.Template})
	}
	for _, s := range of[*apps.StatefulSet](r) {
		all = append(all, pod{"StatefulSet " + s.Name, s.Spec.Template})
	}
	for _, j := range of[*batch.Job](r) {
		all = append(all, pod{"Job " + j.Name, j.Spec.Template})
	}
	return all
}

// pinned is an image with a version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9][0-9A-Za-z.-]*$`)

// The namespace enforces the profile "restricted", and we ask for more.
func TestPodsAreHardened(t *testing.T) {
	for _, r := range renderings(t) {
		for _, p := range pods(r) {
			for problem, bad := range podFaults(p.Spec) {
				if bad {
					t.Errorf("%s: %s: %s", r.name, p.of, problem)
				}
			}
			for _, c := range p.Spec.Containers {
				for problem, bad := range containerFaults(c) {
					if bad {
						t.Errorf("%s: %s: container %s: %s", r.name, p.of, c.Name, problem)
					}
				}
			}
		}
	}
}

func podFaults(s core.PodSpec) map[string]bool {
	c := s.SecurityContext
	if c == nil {
		c = new(core.PodSecurityContext)
	}
	return map[string]bool{
		"may run as root":                      !is(c.RunAsNonRoot, true) || c.RunAsUser == nil || *c.RunAsUser == 0,
		"has no seccomp profile":               c.SeccompProfile == nil || c.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault,
		"gets a token for the cluster's API":   !is(s.AutomountServiceAccountToken, false),
		"gets variables of other Services":     !is(s.EnableServiceLinks, false),
		"shares something of the host":         s.HostNetwork || s.HostPID || s.HostIPC,
		"has init containers without a reason": len(s.InitContainers) > 0,
	}
}

func containerFaults(c core.Container) map[string]bool {
	s := c.SecurityContext
	if s == nil {
		s = new(core.SecurityContext)
	}
	drops := s.Capabilities != nil && len(s.Capabilities.Drop) == 1 && s.Capabilities.Drop[0] == "ALL" && len(s.Capabilities.Add) == 0
	request, limit := c.Resources.Requests, c.Resources.Limits
	return map[string]bool{
		"may write its root":                   !is(s.ReadOnlyRootFilesystem, true),
		"may gain privileges":                  !is(s.AllowPrivilegeEscalation, false) || is(s.Privileged, true),
		"keeps capabilities":                   !drops,
		"image is not pinned: " + c.Image:      !pinned.MatchString(c.Image),
		"has no requests":                      request.Cpu().IsZero() || request.Memory().IsZero(),
		"has no limits":                        limit.Cpu().IsZero() || limit.Memory().IsZero(),
		"asks for more memory than its limit":  request.Memory().Cmp(*limit.Memory()) > 0,
		"asks for more processor than allowed": request.Cpu().Cmp(*limit.Cpu()) > 0,
	}
}

func is(flag *bool, want bool) bool { return flag != nil && *flag == want }

// What a container mounts is there: the volume, the Secret or ConfigMap, and each of the keys.
func TestMountsExist(t *testing.T) {
	for _, r := range renderings(t) {
		for _, p := range pods(r) {
			volumes := map[string]bool{}
			for _, v := range p.Spec.Volumes {
				volumes[v.Name] = true
				for _, missing := range missingKeys(r, v) {
					t.Errorf("%s: %s: volume %s: there is no %s", r.name, p.of, v.Name, missing)
				}
			}
			for _, s := range of[*apps.StatefulSet](r) {
				for _, claim := range s.Spec.VolumeClaimTemplates {
					volumes[claim.Name] = true
				}
			}
			for _, c := range p.Spec.Containers {
				for _, m := range c.VolumeMounts {
					if !volumes[m.Name] {
						t.Errorf("%s: %s: container %s mounts %s, which is no volume", r.name, p.of, c.Name, m.Name)
					}
				}
			}
		}
	}
}

// missingKeys are the keys of a Secret that a volume takes and that are not there.
func missingKeys(r rendering, v core.Volume) (missing []string) {
	if v.Secret == nil {
		return nil
	}
	held := secretValues(r, v.Secret.SecretName)
	if held == nil {
		return []string{"Secret " + v.Secret.SecretName}
	}
	for _, item := range v.Secret.Items {
		if held[item.Key] == "" {
			missing = append(missing, "key "+item.Key)
		}
	}
	return missing
}

// secretValues is what a Secret holds; nil: there is none of that name.
func secretValues(r rendering, name string) map[string]string {
	for _, s := range of[*core.Secret](r) {
		if s.Name == name {
			values := map[string]string{}
			for key, value := range s.Data {
				values[key] = string(value)
			}
			return values
		}
	}
	return nil
}
