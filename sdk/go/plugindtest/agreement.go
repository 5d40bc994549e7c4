package plugindtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// builtIn are the capabilities of plugind itself.
func builtIn() map[string][]string {
	offers := map[string][]string{}
	for _, name := range []string{"config.reload", "drain", "peer.calls", "log.structured", "trace"} {
		offers[name] = []string{"1.0"}
	}
	return offers
}

func listed(offers map[string][]string) []*pluginv1.Capability {
	var all []*pluginv1.Capability
	for _, name := range slices.Sorted(maps.Keys(offers)) {
		all = append(all, &pluginv1.Capability{Name: name, Versions: offers[name]})
	}
	return all
}

// agree is the host's rule: of the majors that both sides have the highest, with the lower of the two minors.
func agree(offers map[string][]string, supported []*pluginv1.Capability) (map[string]string, error) {
	agreed := map[string]string{}
	for _, capability := range supported {
		name := capability.GetName()
		mine, err := minors(offers[name])
		if err != nil {
			return nil, fmt.Errorf("capability %s: %w", name, err)
		}
		theirs, err := minors(capability.GetVersions())
		if err != nil {
			return nil, fmt.Errorf("capability %s: %w", name, err)
		}
		best := -1
		for major := range theirs {
			if _, both := mine[major]; both {
				best = max(best, major)
			}
		}
		if best >= 0 {
			agreed[name] = fmt.Sprintf("%d.%d", best, min(mine[best], theirs[best]))
		} else if capability.GetRequired() {
			return nil, fmt.Errorf("the plugin requires %s %v, and the host offers %v: plugindtest.Offer adds to that",
				name, capability.GetVersions(), offers[name])
		}
	}
	return agreed, nil
}

// minors are the highest minor versions by major ones.
func minors(versions []string) (map[int]int, error) {
	found := map[int]int{}
	for _, version := range versions {
		before, after, _ := strings.Cut(version, ".")
		major, err := strconv.Atoi(before)
		if err != nil {
			return nil, fmt.Errorf("%q is not MAJOR.MINOR", version)
		}
		minor, err := strconv.Atoi(after)
		if err != nil {
			return nil, fmt.Errorf("%q is not MAJOR.MINOR", version)
		}
		found[major] = max(found[major], minor)
	}
	return found, nil
}
