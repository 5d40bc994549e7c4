package plugind

import "testing"

func TestChoosesTheHighestVersionThatTheHostOffers(t *testing.T) {
	for offered, want := range map[string]int{
		"1,2,7": 2, "7,1": 1, "2,1": 2, " 2 ,x,": 2, "8,9": 1, "": 1, "-1": 1,
	} {
		if got := chooseVersion(offered, []int{1, 2}); got != want {
			t.Errorf("of %q it chooses %d, not %d", offered, got, want)
		}
	}
}

func TestTheHandshakeHasASixthFieldOnlyWithTLS(t *testing.T) {
	if line := handshakeLine(5, "/run/p.sock", ""); line != "1|5|unix|/run/p.sock|grpc\n" {
		t.Error(line)
	}
	if line := handshakeLine(5, "/run/p.sock", "MIIB"); line != "1|5|unix|/run/p.sock|grpc|MIIB\n" {
		t.Error(line)
	}
}
