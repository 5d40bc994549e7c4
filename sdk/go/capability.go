package plugind

import (
	"cmp"
	"slices"

	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// capability is one as the contract has it: the highest minor of each major.
type capability struct {
	name     string
	versions []string
}

const defaultVersion = "1.0"

func addVersions(to []capability, name string, versions []string) []capability {
	if len(versions) == 0 {
		versions = []string{defaultVersion}
	}
	at := slices.IndexFunc(to, func(each capability) bool { return each.name == name })
	if at < 0 {
		return append(to, capability{name, slices.Clone(versions)})
	}
	to[at].versions = append(to[at].versions, versions...)
	return to
}

// capabilities are all that the plugin tells a host: what this package can do by itself, and the author's; sorted.
func (p *Plugin) capabilities() []*pluginv1.Capability {
	all := slices.Clone(p.provides)
	for _, name := range []string{"peer.calls", "log.structured", "trace"} {
		all = addVersions(all, name, nil)
	}
	if p.onConfigure != nil {
		all = addVersions(all, "config.reload", nil)
	}
	if p.onDrain != nil {
		all = addVersions(all, "drain", nil)
	}
	required := map[string]bool{}
	for _, each := range p.requires {
		required[each.name] = true
		all = addVersions(all, each.name, each.versions)
	}
	answer := make([]*pluginv1.Capability, 0, len(all))
	for _, each := range all {
		versions := slices.Clone(each.versions)
		slices.Sort(versions)
		answer = append(answer, &pluginv1.Capability{
			Name: each.name, Versions: slices.Compact(versions), Required: required[each.name],
		})
	}
	slices.SortFunc(answer, func(a, b *pluginv1.Capability) int { return cmp.Compare(a.Name, b.Name) })
	return answer
}
