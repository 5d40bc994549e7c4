package plugind

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// stopSignal says that the plugin was asked to end.
type stopSignal struct {
	once  sync.Once
	asked chan struct{}
}

func newStopSignal() *stopSignal {
	return &stopSignal{asked: make(chan struct{})}
}

func (s *stopSignal) ask() {
	s.once.Do(func() { close(s.asked) })
}

// takeSignals makes SIGTERM ask for the end. SIGINT does nothing: Ctrl-C in the host's terminal reaches its whole process
// group, and the host then ends its plugins in order. SIGPIPE does nothing: a print to a host that is gone must not be
// what ends the plugin. Being handled, unlike being ignored, is not inherited by programs that the plugin starts.
func (s *stopSignal) takeSignals() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		s.ask()
	}()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGPIPE)
}

// parentCheck is how often the parent is asked after on kernels without pidfds (before Linux 5.3).
const parentCheck = 500 * time.Millisecond

// watchParent closes the channel when the process that started this one, the host, is gone.
func watchParent() <-chan struct{} {
	gone := make(chan struct{})
	parent := os.Getppid()
	if parent == 0 {
		return gone // outside our PID namespace: it cannot be watched
	}
	go func() {
		defer close(gone)
		if err := waitForEnd(parent); err == nil {
			return
		}
		for os.Getppid() == parent {
			time.Sleep(parentCheck)
		}
	}()
	return gone
}

// waitForEnd returns nil when the parent has ended.
func waitForEnd(parent int) error {
	const pidfdOpen = 434 // the same on every architecture that Go has
	fd, _, failed := syscall.Syscall(pidfdOpen, uintptr(parent), 0, 0)
	if failed != 0 {
		return os.NewSyscallError("pidfd_open", failed)
	}
	// Non-blocking files are the ones that the runtime's poller watches.
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return errors.Join(err, syscall.Close(int(fd)))
	}
	file := os.NewFile(fd, "pidfd")
	defer file.Close()
	if os.Getppid() != parent {
		return nil // it ended before, and its pid may be another's by now
	}
	pidfd, err := file.SyscallConn()
	if err != nil {
		return err
	}
	looked := false
	// Not ready at the first look; the next one is when the pidfd is readable, at the process's end.
	return pidfd.Read(func(uintptr) bool {
		again := looked
		looked = true
		return again
	})
}
