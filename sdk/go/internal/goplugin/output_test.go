package goplugin

import (
	"context"
	"strings"
	"testing"
	"time"
)

// all takes what there is, in pieces of 4 bytes.
func all(t *testing.T, o *Output) string {
	t.Helper()
	var taken strings.Builder
	for {
		piece, _ := o.next(4)
		if piece == nil {
			return taken.String()
		}
		taken.Write(piece)
	}
}

func TestTheOldestLinesGoFirstAndThatIsSaid(t *testing.T) {
	o := NewOutput(12)
	for _, line := range []string{"one\n", "two\n", "three\n", "four\n"} {
		if n, err := o.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if got := all(t, o); got != "[8 bytes of output were dropped: nobody read them]\nthree\nfour\n" {
		t.Errorf("%q", got)
	}
}

func TestALineLongerThanAllIsCut(t *testing.T) {
	o := NewOutput(4)
	_, _ = o.Write([]byte("abcdefgh"))
	if got := all(t, o); !strings.HasSuffix(got, "]\nefgh") {
		t.Errorf("%q", got)
	}
}

func TestAReaderWaitsAndIsGivenTheRestAtTheEnd(t *testing.T) {
	o := NewOutput(100)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := make(chan string)
	go func() {
		defer close(got)
		for {
			piece, err := o.take(ctx, 100)
			if err != nil {
				t.Error(err)
			}
			if piece == nil {
				return
			}
			got <- string(piece)
		}
	}()
	_, _ = o.Write([]byte("first"))
	if piece := <-got; piece != "first" {
		t.Errorf("%q", piece)
	}
	_, _ = o.Write([]byte("last"))
	o.End()
	if piece := <-got; piece != "last" {
		t.Errorf("%q", piece)
	}
	if piece, more := <-got; more {
		t.Errorf("after the end comes %q", piece)
	}
}

func TestAReaderMayLeave(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewOutput(1).take(ctx, 1); err == nil {
		t.Error("it did not")
	}
}
