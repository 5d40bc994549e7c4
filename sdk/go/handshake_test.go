package plugind

import "testing"

func TestChoosesTheHighestVersionThatTheHostOffers(t *testing.T) {
	for offered, want := range map[string]int{
		"1,2,7": 2, "7,1": 1, "2,1": 2, " 2 ,x,": 2, "8,9": 1, "": 1, "-1": 1,
	} {
		if got := chooseVersion(offer{protocolVersions: offered}.versions(), []int{1, 2}); got != want {
			t.Errorf("of %q it chooses %d, not %d", offered, got, want)
		}
	}
}

func TestAMismatchNamesTheVersionsOfBothSides(t *testing.T) {
	got := mismatch("greeter", offer{protocolVersions: "9, 8,x,9,"}.versions(), []int{1, 2})
	if got != "greeter serves protocol versions 1, 2; its host offers 8, 9\n" {
		t.Errorf("%q", got)
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
