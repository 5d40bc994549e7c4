package goplugin

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// Output holds what was printed and not yet read: bounded, the oldest lines go first, and what went is said to the reader
// in its place. Writing never waits.
type Output struct {
	capacity int

	mu      sync.Mutex
	data    []byte
	lost    int           // bytes dropped since they were last spoken of
	ended   chan struct{} // closed by End
	changed chan struct{} // closed, and made anew, when there is something to do for a reader
}

// NewOutput holds at most capacity bytes.
func NewOutput(capacity int) *Output {
	return &Output{capacity: capacity, ended: make(chan struct{}), changed: make(chan struct{})}
}

// Write takes everything and never fails.
func (o *Output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, data...)
	if excess := len(o.data) - o.capacity; excess > 0 {
		// Up to the end of a line, so that what stays begins with a whole one; a line longer than all of this is cut.
		if newline := bytes.IndexByte(o.data[excess-1:], '\n'); newline >= 0 {
			excess += newline
		}
		o.data = append([]byte(nil), o.data[excess:]...)
		o.lost += excess
	}
	o.wake()
	return len(data), nil
}

// End lets readers take what there is, and then ends them. It is called once.
func (o *Output) End() {
	close(o.ended)
}

// Ended is closed by End.
func (o *Output) Ended() <-chan struct{} { return o.ended }

// Rest takes everything that is there.
func (o *Output) Rest() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.data
	o.data = nil
	return rest
}

func (o *Output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// take waits for the oldest bytes, at most limit; nil after the end.
func (o *Output) take(ctx context.Context, limit int) ([]byte, error) {
	for {
		printed, changed := o.next(limit)
		if printed != nil {
			return printed, nil
		}
		select {
		case <-changed:
		case <-o.ended:
			printed, _ = o.next(limit) // what came just before
			return printed, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (o *Output) next(limit int) (printed []byte, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.lost > 0:
		printed = fmt.Appendf(nil, "[%d bytes of output were dropped: nobody read them]\n", o.lost)
		o.lost = 0
	case len(o.data) > 0:
		size := min(limit, len(o.data))
		printed = bytes.Clone(o.data[:size])
		o.data = o.data[size:]
	}
	return printed, o.changed
}
