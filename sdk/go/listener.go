package plugind

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// longestSocket is what sockaddr_un holds.
const longestSocket = 107

// listen binds the plugin's socket: p.sock in the directory that the host made for this process, else under a name of its
// own in a directory that is shared. Its file goes when the listener is closed.
func listen(o offer) (net.Listener, error) {
	random := func() string {
		var bytes [8]byte
		_, _ = rand.Read(bytes[:]) // never fails
		return "plugin-" + hex.EncodeToString(bytes[:]) + ".sock"
	}
	dir, name := o.socketDir, "p.sock"
	if dir == "" {
		dir, name = os.TempDir(), random()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	listener, err := bind(filepath.Join(dir, name))
	if errors.Is(err, syscall.EADDRINUSE) {
		// This directory is shared after all, as some hosts' is.
		listener, err = bind(filepath.Join(dir, random()))
	}
	if err != nil {
		return nil, err
	}
	if o.socketGroup != "" {
		if err := grant(listener.Addr().String(), o.socketGroup); err != nil {
			listener.Close()
			return nil, err
		}
	}
	return listener, nil
}

func bind(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("the socket's path has %d bytes and may have %d: %s", len(path), longestSocket, path)
	}
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var failed error
		// On Linux bind gives the file the mode of the socket itself: it is never open to others, not for a moment.
		err := socket.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	return config.Listen(context.Background(), "unix", path)
}

// grant lets a group, by name or gid, connect too.
func grant(path, group string) error {
	gid, err := strconv.Atoi(group)
	if err != nil {
		found, err := user.LookupGroup(group)
		if err != nil {
			return fmt.Errorf("PLUGIN_UNIX_SOCKET_GROUP: %w", err)
		}
		if gid, err = strconv.Atoi(found.Gid); err != nil {
			return err
		}
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return err
	}
	return os.Chmod(path, 0o660)
}
