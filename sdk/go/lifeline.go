package plugind

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"
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

// waitForEnd returns nil when the parent has ended. It keeps a thread of the process waiting: the runtime's poller reports
// a pidfd's end once, which may be before anybody waits for it, and there is nothing to read that would tell it again.
func waitForEnd(parent int) error {
	const pidfdOpen = 434 // the same on every architecture that Go has
	fd, _, failed := syscall.Syscall(pidfdOpen, uintptr(parent), 0, 0)
	if failed != 0 {
		return os.NewSyscallError("pidfd_open", failed)
	}
	defer syscall.Close(int(fd))
	const readable = 1 // POLLIN
	watched := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: readable}
	// If it has ended before pidfd_open, its pid may be another's by now, and only its child knows.
	for os.Getppid() == parent {
		_, _, failed := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&watched)), 1, 0, 0, 0, 0)
		if failed != 0 && failed != syscall.EINTR {
			return os.NewSyscallError("ppoll", failed)
		}
		if watched.revents != 0 {
			return nil
		}
	}
	return nil
}
