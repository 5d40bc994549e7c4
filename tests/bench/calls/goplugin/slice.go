package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// load and outcome are those of ../slice.h, with the same rules.
type load struct {
	size      int
	inFlight  int
	streaming bool
	duration  time.Duration
}

type outcome struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	All     int     `json:"all"`
	Failed  int     `json:"failed"`
	Error   string  `json:"error"`
}

const (
	patience = 5 * time.Second
	enough   = 2 // calls of each caller
)

// slice is what all callers of a slice share.
type slice struct {
	load
	ctx         context.Context
	measureFrom time.Time
	end         time.Time
	measured    atomic.Int64
	over        atomic.Pointer[time.Time] // what ends later is not measured any more
}

// goesOn says so after a call that ended `now`.
func (s *slice) goesOn(now time.Time) bool {
	if s.over.Load() != nil {
		return false
	}
	if now.Before(s.end) || s.measured.Load() < int64(enough*s.inFlight) && now.Before(s.end.Add(patience)) {
		return true
	}
	s.over.CompareAndSwap(nil, &now)
	return false
}

// caller is one of those that have one call under way each. It fills its own fields and shares none while it runs.
type caller struct {
	latencies []time.Duration
	all       int
	err       error
}

// run makes calls until the slice is over. `exchange` sends the request and returns the answer.
func (c *caller) run(s *slice, exchange func() (*wrapperspb.BytesValue, error)) {
	for began := time.Now(); ; {
		answer, err := exchange()
		now := time.Now()
		if err != nil {
			c.err = err
			return
		}
		if len(answer.GetValue()) != s.size {
			c.err = errors.New("a wrong answer")
			return
		}
		c.all++
		if !now.Before(s.measureFrom) && s.over.Load() == nil {
			c.latencies = append(c.latencies, now.Sub(began))
			s.measured.Add(1)
		}
		if !s.goesOn(now) {
			return
		}
		began = now
	}
}

func (c *caller) unary(s *slice, connection *grpc.ClientConn) {
	request := wrapperspb.Bytes(make([]byte, s.size))
	c.run(s, func() (*wrapperspb.BytesValue, error) {
		answer := new(wrapperspb.BytesValue)
		return answer, connection.Invoke(s.ctx, onceMethod, request, answer)
	})
}

func (c *caller) stream(s *slice, connection *grpc.ClientConn) {
	request := wrapperspb.Bytes(make([]byte, s.size))
	stream, err := connection.NewStream(s.ctx, &echoService.Streams[0], chatMethod)
	if err != nil {
		c.err = err
		return
	}
	c.run(s, func() (*wrapperspb.BytesValue, error) {
		answer := new(wrapperspb.BytesValue)
		if err := stream.SendMsg(request); err != nil {
			return nil, err
		}
		return answer, stream.RecvMsg(answer)
	})
	if c.err != nil {
		return
	}
	if c.err = stream.CloseSend(); c.err != nil {
		return
	}
	if err := stream.RecvMsg(new(wrapperspb.BytesValue)); !errors.Is(err, io.EOF) {
		c.err = fmt.Errorf("the stream ended badly: %w", err)
	}
}

func runSlice(connection *grpc.ClientConn, l load) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), l.duration+2*patience)
	defer cancel()
	measureFrom := time.Now().Add(l.duration / 5)
	s := &slice{load: l, ctx: ctx, measureFrom: measureFrom, end: measureFrom.Add(l.duration * 4 / 5)}
	callers := make([]caller, l.inFlight)
	var running sync.WaitGroup
	for i := range callers {
		running.Add(1)
		go func(c *caller) {
			defer running.Done()
			if l.streaming {
				c.stream(s, connection)
			} else {
				c.unary(s, connection)
			}
			if c.err != nil {
				cancel() // the others end too
			}
		}(&callers[i])
	}
	running.Wait()

	var latencies []time.Duration
	var result outcome
	if over := s.over.Load(); over != nil {
		result.Seconds = over.Sub(measureFrom).Seconds()
	}
	for _, c := range callers {
		latencies = append(latencies, c.latencies...)
		result.All += c.all
		if c.err != nil {
			result.Failed++
			if result.Error == "" {
				result.Error = c.err.Error()
			}
		}
	}
	slices.Sort(latencies)
	result.Calls = len(latencies)
	result.P50, result.P99 = percentile(latencies, 50), percentile(latencies, 99)
	return result
}

// percentile is the nearest rank, in microseconds; zero where there is no value.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return float64(sorted[rank-1].Nanoseconds()) / 1e3
}
