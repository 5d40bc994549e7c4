package plugind

import (
	"io"
	"os"
	"syscall"
	"time"
)

// capture is stdout under hosts that discard it after the handshake: descriptor 1 itself is a pipe, so that what loggers
// made earlier, C libraries and programs that the plugin starts print is caught as well.
type capture struct {
	host *os.File // stdout as it was
	read *os.File
	done chan struct{} // closed when everything was copied
}

// captureStdout copies what is printed to `to` from now on.
func captureStdout(to io.Writer) (*capture, error) {
	host, err := duplicate(syscall.Stdout)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	if err := syscall.Dup3(int(write.Fd()), syscall.Stdout, 0); err != nil {
		return nil, os.NewSyscallError("dup3", err)
	}
	c := &capture{host: host, read: read, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_, _ = io.Copy(to, read) // ends with the pipe, or by stop
	}()
	return c, nil
}

// stop gives stdout back, and returns when what was printed before has been copied.
func (c *capture) stop() {
	_ = syscall.Dup3(int(c.host.Fd()), syscall.Stdout, 0)
	// A program that the plugin started may hold the pipe open.
	_ = c.read.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	<-c.done
	c.read.Close()
}

// duplicate is a copy of a descriptor that programs the plugin starts do not inherit.
func duplicate(fd int) (*os.File, error) {
	copied, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if failed != 0 {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	return os.NewFile(copied, "stdout"), nil
}
