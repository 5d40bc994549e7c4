package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// load and outcome are those of ../slice.h, with the same rules: the first fifth is warm-up, and a slice ends early when a
// call has failed.
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

// caller is one of those that have one call under way each. It fills its own fields and shares none while it runs.
type caller struct {
	latencies []time.Duration
	all       int
	err       error
}

// run makes calls until `end`. `exchange` sends the request and returns the answer.
func (c *caller) run(measureFrom, end time.Time, size int, exchange func() (*wrapperspb.BytesValue, error)) {
	for began := time.Now(); began.Before(end); {
		answer, err := exchange()
		now := time.Now()
		if err != nil {
			c.err = err
			return
		}
		if len(answer.GetValue()) != size {
			c.err = fmt.Errorf("a wrong answer")
			return
		}
		c.all++
		if !now.Before(measureFrom) && now.Before(end) {
			c.latencies = append(c.latencies, now.Sub(began))
		}
		began = now
	}
}

func (c *caller) unary(ctx context.Context, connection *grpc.ClientConn, l load, measureFrom, end time.Time) {
	request := wrapperspb.Bytes(make([]byte, l.size))
	c.run(measureFrom, end, l.size, func() (*wrapperspb.BytesValue, error) {
		answer := new(wrapperspb.BytesValue)
		return answer, connection.Invoke(ctx, onceMethod, request, answer)
	})
}

func (c *caller) stream(ctx context.Context, connection *grpc.ClientConn, l load, measureFrom, end time.Time) {
	request := wrapperspb.Bytes(make([]byte, l.size))
	stream, err := connection.NewStream(ctx, &echoService.Streams[0], chatMethod)
	if err != nil {
		c.err = err
		return
	}
	c.run(measureFrom, end, l.size, func() (*wrapperspb.BytesValue, error) {
		answer := new(wrapperspb.BytesValue)
		if err := stream.SendMsg(request); err != nil {
			return nil, err
		}
		return answer, stream.RecvMsg(answer)
	})
	if err := stream.CloseSend(); err != nil && c.err == nil {
		c.err = err
	}
}

func runSlice(connection *grpc.ClientConn, l load) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), l.duration+10*time.Second)
	defer cancel()
	measureFrom := time.Now().Add(l.duration / 5)
	end := measureFrom.Add(l.duration * 4 / 5)
	callers := make([]caller, l.inFlight)
	var running sync.WaitGroup
	for i := range callers {
		running.Add(1)
		go func(c *caller) {
			defer running.Done()
			if l.streaming {
				c.stream(ctx, connection, l, measureFrom, end)
			} else {
				c.unary(ctx, connection, l, measureFrom, end)
			}
			if c.err != nil {
				cancel()
			}
		}(&callers[i])
	}
	running.Wait()

	var latencies []time.Duration
	result := outcome{Seconds: end.Sub(measureFrom).Seconds()}
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
